/** A statement that waits for an exclusive lock, as an ALTER of a deployment does while a backup holds the table. */
import { spawn } from 'node:child_process'
import { eventually } from './patience.ts'
import { conninfoOf, type TestDatabase } from './postgres.ts'

export interface QueuedLock extends AsyncDisposable {
  /** Of the session that waits. */
  readonly backend: number
  /** Resolves with psql's status when the statement was run, or ended. */
  readonly ended: Promise<number | null>
}

let count = 0

/** Runs `statement` over a psql of its own; resolves when it waits for a lock. Ended at the latest when disposed of. */
export async function queueLock(database: TestDatabase, statement: string): Promise<QueuedLock> {
  count += 1
  const name = `queued_${process.pid}_${count}`
  const conninfo = `${conninfoOf(database.name, database.server)} application_name=${name}`
  const psql = spawn('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', conninfo, '-c', statement], {
    stdio: 'ignore',
  })
  const { promise: ended, resolve } = Promise.withResolvers<number | null>()
  psql.once('close', resolve)
  const backend = await eventually('the statement waits for its lock', async () => {
    const found = await database.sql(
      `SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = '${name}' AND NOT granted`,
    )
    return found === '' ? undefined : Number(found)
  })
  return {
    backend,
    ended,
    [Symbol.asyncDispose]: async () => {
      await database.sql(`SELECT pg_terminate_backend(${backend}, 5000)`).catch(() => undefined)
      psql.kill()
      await ended
    },
  }
}
