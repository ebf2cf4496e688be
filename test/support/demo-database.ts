/** The demo's building-management database, and those who keep writing to a database while coffre reads it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { home } from './coffre.ts'
import { sql, type TestDatabase } from './postgres.ts'

const folder = join(home, 'src/operations/demo')
/** What keeps changing the demo database, as pgbench takes it. */
export const demoWriters = ['-n', '-f', join(folder, 'writers.sql')]

/** Fills an empty database. `roles` also makes two roles of the whole server. */
export async function loadDemo(
  { name, server }: TestDatabase,
  options: { readonly scale: number; readonly roles?: boolean },
): Promise<void> {
  const roles = options.roles === true ? 'on' : 'off'
  const file = join(folder, 'building-management.sql')
  await sql(name, '', ['-v', `scale=${options.scale}`, '-v', `roles=${roles}`, '-f', file], server)
}

/** Runs pgbench to its end. Fails the test unless it ends with status 0. */
export async function pgbench(conninfo: string, args: readonly string[]): Promise<void> {
  const [status, said] = await runPgbench(conninfo, args).ended
  assert.equal(status, 0, said)
}

export interface Writers extends AsyncDisposable {
  /** Ends them. Fails the test when they had ended by themselves: then nothing was written meanwhile. */
  stop(): Promise<void>
}

/** Two clients of pgbench that write until they are stopped. */
export function startWriters(conninfo: string, args: readonly string[]): Writers {
  const { child, ended } = runPgbench(conninfo, [...args, '-c', '2', '-T', '600'])
  const end = async (): Promise<string> => {
    child.kill('SIGTERM')
    return (await ended)[1]
  }
  return {
    stop: async () => {
      const running = child.exitCode === null
      const said = await end()
      assert.ok(running, `the writers gave up: ${said}`)
      assert.doesNotMatch(said, /aborted|ERROR/)
    },
    [Symbol.asyncDispose]: async () => void (await end()),
  }
}

function runPgbench(conninfo: string, args: readonly string[]) {
  const child = spawn('pgbench', [...args, conninfo], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
  const ended = once(child, 'close').then(([status]): [number | null, string] => [
    status as number | null,
    said,
  ])
  return { child, ended }
}
