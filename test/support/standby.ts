/** A standby of a test's own server: made by pg_basebackup, following by streaming; it ends with the test. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ordinaryUser } from '../../src/postgres/scratch-cluster.ts'
import type { OwnServer } from './own-server.ts'
import { eventually } from './patience.ts'
import { sql } from './postgres.ts'

const run = promisify(execFile)

export interface Standby extends AsyncDisposable {
  /** As `urlOf` takes it. */
  readonly server: string
  /** Waits until it has replayed all that the primary has written by now. */
  caughtUp(): Promise<void>
}

/** It lets a query that is in the way of the replay go on for no time at all. */
export async function startStandby(primary: OwnServer): Promise<Standby> {
  const programs = await serverPrograms()
  const user = await ordinaryUser()
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-standby-'))
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const options = { cwd: folder, ...user }
  await run(
    join(programs, 'pg_basebackup'),
    ['-D', data, '-R', '-X', 'stream', '-c', 'fast', '-d', primary.server, '--no-sync'],
    options,
  )
  const settings = {
    listen_addresses: '',
    port: '5432',
    unix_socket_directories: folder,
    hot_standby: 'on',
    shared_buffers: '32MB',
    max_standby_streaming_delay: '0',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(programs, 'postgres'), ['-D', data, ...args], { ...options, stdio: 'ignore' })
  const ended = once(child, 'exit')
  const server = `host=${folder} user=postgres`
  const ask = async (text: string): Promise<string> => await sql('postgres', text, [], server)
  const caughtUp = async (): Promise<void> => {
    const written = await sql('postgres', 'SELECT pg_current_wal_lsn()', [], primary.server)
    await eventually('the standby has caught up', async () => {
      assert.equal(child.exitCode, null, 'the standby ended')
      return (await ask(`SELECT pg_last_wal_replay_lsn() >= '${written}'`)) === 't'
    })
  }
  await eventually('the standby answers', async () => {
    assert.equal(child.exitCode, null, 'the standby did not start')
    return await ask('SELECT pg_is_in_recovery()').then(
      (answer) => answer === 't',
      () => false,
    )
  })
  return {
    server,
    caughtUp,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGQUIT')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Of the version the tests' servers have: Debian's newest. */
async function serverPrograms(): Promise<string> {
  const versions = await readdir('/usr/lib/postgresql')
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0]
  return `/usr/lib/postgresql/${newest}/bin`
}
