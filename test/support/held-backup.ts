/**
 * A backup held in the middle of its rows: its snapshot is taken, pg_dump and a lane wait for one table's lock, and
 * bytes of other tables are already under way. No clock is in it: a backup gets there or the test fails.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { startCoffre, type Outcome, type RunOptions } from './coffre.ts'
import { eventually } from './patience.ts'
import { conninfoOf, type TestDatabase } from './postgres.ts'

export interface HeldBackup extends AsyncDisposable {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  /** Of the session that holds the snapshot. */
  readonly snapshotBackend: number
  /** The session of a lane that waits (`COPY`), or pg_dump's (`LOCK TABLE`). */
  waiting(statement: 'COPY' | 'LOCK TABLE'): Promise<number>
  /** Lets it go on, after `first` was run where the lock is held. */
  release(first?: string): Promise<void>
}

/**
 * Starts `coffre` with `args` and holds it. The lock is held first, so that coffre must wait for it; then another is
 * asked for behind coffre's back and the first let go, until coffre's snapshot has the table and all later sessions
 * queue behind the one that was asked for last.
 */
export async function holdBackup(
  database: TestDatabase,
  table: string,
  args: readonly string[],
  options: RunOptions,
): Promise<HeldBackup> {
  const gate = new Gate(database, table)
  await gate.close()
  const { child, ended } = startCoffre(args, options)
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gate.open()
    await ended
  }
  try {
    await gate.letSnapshotThrough(child)
    const waiting: HeldBackup['waiting'] = async (statement) =>
      await eventually(
        `${statement} waits`,
        async () => (await gate.queue()).find(({ query }) => query.startsWith(statement))?.pid,
      )
    await waiting('COPY')
    return {
      child,
      ended,
      snapshotBackend: (await gate.snapshot()) ?? assert.fail('the snapshot is gone'),
      waiting,
      release: (first) => gate.open(first),
      [Symbol.asyncDispose]: end,
    }
  } catch (error) {
    await end()
    throw error
  }
}

/** A session that holds or asks for the table. */
interface Request {
  readonly pid: number
  readonly application: string
  readonly state: string
  readonly mode: string
  readonly granted: boolean
  readonly query: string
}

class Gate {
  readonly #database: TestDatabase
  readonly #table: string
  #lock: ExclusiveLock | undefined
  #count = 0

  constructor(database: TestDatabase, table: string) {
    this.#database = database
    this.#table = table
  }

  /** Asks for the table behind whoever has it or waits for it now; then lets go what was held before. */
  async close(): Promise<void> {
    this.#count += 1
    const before = this.#lock
    const lock = new ExclusiveLock(this.#database, this.#table, `gate_${process.pid}_${this.#count}`)
    this.#lock = lock
    await eventually('the gate asks for the table', async () => await this.#isAsking(lock))
    await before?.end()
  }

  async letSnapshotThrough(coffre: ChildProcess): Promise<void> {
    while ((await this.snapshot()) === undefined) {
      await eventually('coffre comes to the table', async () => {
        assert.equal(coffre.exitCode, null, 'coffre ended before it was held')
        return (await this.queue()).length > 0 || (await this.snapshot()) !== undefined
      })
      if ((await this.snapshot()) === undefined) await this.close()
      assert.ok(this.#count < 10, 'coffre never took its snapshot')
    }
  }

  /** The session of coffre that has locked the table for as long as it takes. */
  async snapshot(): Promise<number | undefined> {
    return (await this.#requests()).find(
      ({ mode, granted, application, state }) =>
        mode === 'AccessShareLock' &&
        granted &&
        application.startsWith('coffre ') &&
        state === 'idle in transaction',
    )?.pid
  }

  /** Who waits to read the table. */
  async queue(): Promise<readonly Request[]> {
    return (await this.#requests()).filter(({ mode, granted }) => mode === 'AccessShareLock' && !granted)
  }

  async open(first?: string): Promise<void> {
    const lock = this.#lock
    this.#lock = undefined
    try {
      if (lock !== undefined && first !== undefined) {
        lock.run(`${first} COMMIT;`)
        await eventually('the statement was run', async () => !(await this.#isAsking(lock)))
      }
    } finally {
      await lock?.end()
    }
  }

  async #isAsking(lock: ExclusiveLock): Promise<boolean> {
    return (await this.#requests()).some(
      ({ mode, application }) => mode === 'AccessExclusiveLock' && application === lock.name,
    )
  }

  async #requests(): Promise<readonly Request[]> {
    const lines = await this.#database.sql(`SELECT row_to_json(r) FROM (
      SELECT a.pid, a.application_name AS application, a.state, l.mode, l.granted, a.query
      FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
      WHERE l.locktype = 'relation' AND l.relation = '${this.#table}'::regclass) r`)
    return lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Request)
  }
}

/** An exclusive lock on the table, held or asked for by a psql of its own. */
class ExclusiveLock {
  readonly name: string
  readonly #database: TestDatabase
  readonly #psql: ChildProcess

  constructor(database: TestDatabase, table: string, name: string) {
    this.name = name
    this.#database = database
    const conninfo = `${conninfoOf(database.name, database.server)} application_name=${name}`
    this.#psql = spawn('psql', ['-X', '-q', '-d', conninfo], { stdio: ['pipe', 'ignore', 'ignore'] })
    this.#psql.stdin?.on('error', () => undefined)
    this.run(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE;`)
  }

  run(text: string): void {
    this.#psql.stdin?.write(`${text}\n`)
  }

  async end(): Promise<void> {
    const terminate = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '${this.name}'`
    // Where the server is gone, so is the lock.
    await this.#database.sql(terminate).catch(() => undefined)
    this.#psql.kill()
  }
}
