/** A pgbouncer of a test's own before the tests' server, on a socket; it ends with the test. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ordinaryUser } from '../../src/postgres/scratch-cluster.ts'
import { eventually } from './patience.ts'
import { socketFolder } from './postgres.ts'

export interface Pooler extends AsyncDisposable {
  /** As `urlOf` takes a server. */
  readonly server: string
}

export async function startPooler(
  mode: 'session' | 'transaction' | 'statement',
  more: Readonly<Record<string, string>> = {},
): Promise<Pooler> {
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-pooler-'))
  const user = await ordinaryUser()
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const settings = {
    listen_port: '5432',
    unix_socket_dir: folder,
    auth_type: 'any',
    pool_mode: mode,
    default_pool_size: '8',
    query_wait_timeout: '10',
    ...more,
  }
  const file = join(folder, 'pgbouncer.ini')
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  await writeFile(
    file,
    `[databases]\n* = host=${socketFolder()} user=postgres\n[pgbouncer]\n${lines.join('\n')}\n`,
    { mode: 0o644 },
  )
  const child = spawn('pgbouncer', ['-q', file], { cwd: folder, stdio: 'ignore', ...user })
  const ended = once(child, 'close')
  await eventually('the pooler listens', () =>
    stat(join(folder, '.s.PGSQL.5432')).then(
      () => true,
      () => false,
    ),
  )
  return {
    server: `host=${folder} user=postgres`,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) child.kill('SIGQUIT')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
