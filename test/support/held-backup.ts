/**
 * A backup held in the middle of its rows: its snapshot is taken, a lane waits in the COPY of one table, and bytes of
 * other tables are already under way. No clock is in it: a backup gets there or the test fails.
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
  /** Of the lane that waits. */
  readonly laneBackend: number
  /** Lets it go on. */
  release(): Promise<void>
}

/** What a table that can hold a backup must have: a value that is stored out of line. */
export const outOfLine = `(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) n)`

/**
 * Starts `coffre` with `args` and holds it at `table`, in which some value must be stored out of line: whoever reads it,
 * or asks for its size, needs the index of those values. That is held first; then it is asked for once more behind
 * coffre's back and the first let go, until it is a lane that waits.
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
    const lane = await gate.letThroughToRows(child)
    return {
      child,
      ended,
      snapshotBackend: (await gate.snapshot(lane)) ?? assert.fail('the snapshot is gone'),
      laneBackend: lane,
      release: () => gate.open(),
      [Symbol.asyncDispose]: end,
    }
  } catch (error) {
    await end()
    throw error
  }
}

/** A session that waits for the gate. */
interface Waiting {
  readonly pid: number
  readonly query: string
}

class Gate {
  readonly #database: TestDatabase
  readonly #table: string
  #index: string | undefined
  #lock: GateLock | undefined
  #count = 0

  constructor(database: TestDatabase, table: string) {
    this.#database = database
    this.#table = table
  }

  /** Asks for the index behind whoever has it or waits for it now; then lets go what was held before. */
  async close(): Promise<void> {
    this.#index ??= await this.#database.sql(
      `SELECT indexrelid::regclass FROM pg_index JOIN pg_class c ON indrelid = reltoastrelid WHERE c.oid = '${this.#table}'::regclass`,
    )
    assert.notEqual(this.#index, '', `${this.#table} keeps nothing out of line`)
    this.#count += 1
    const before = this.#lock
    const lock = new GateLock(this.#database, this.#index, `gate_${process.pid}_${this.#count}`)
    this.#lock = lock
    await eventually('the gate asks for the index', async () => await this.#isAsking(lock))
    await before?.end()
  }

  /** Returns the lane that waits. What waits before it, for sizes, is let go. */
  async letThroughToRows(coffre: ChildProcess): Promise<number> {
    for (;;) {
      const waiting = await eventually('coffre comes to the table', async () => {
        assert.equal(coffre.exitCode, null, 'coffre ended before it was held')
        return (await this.#queue())[0]
      })
      if (waiting.query.startsWith('COPY "')) return waiting.pid
      await this.close()
      assert.ok(this.#count < 10, 'coffre never came to its rows')
    }
  }

  /** The session of coffre, other than the lane's, that has locked the table for as long as it takes. */
  async snapshot(lane: number): Promise<number | undefined> {
    const found = await this.#database.sql(`SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE l.relation = '${this.#table}'::regclass AND l.mode = 'AccessShareLock' AND l.granted AND a.pid <> ${lane}
        AND a.application_name LIKE 'coffre %' AND a.state = 'idle in transaction'`)
    return found === '' ? undefined : Number(found)
  }

  async open(): Promise<void> {
    const lock = this.#lock
    this.#lock = undefined
    await lock?.end()
  }

  async #queue(): Promise<readonly Waiting[]> {
    const lines =
      await this.#database.sql(`SELECT row_to_json(r) FROM (SELECT a.pid, a.query FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.relation = '${this.#index}'::regclass AND l.mode = 'AccessShareLock' AND NOT l.granted) r`)
    return lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Waiting)
  }

  async #isAsking(lock: GateLock): Promise<boolean> {
    const found = await this.#database.sql(`SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE relation = '${this.#index}'::regclass AND mode = 'AccessExclusiveLock' AND application_name = '${lock.name}'`)
    return found !== '0'
  }
}

/** The index, held exclusively or asked for, by a psql of its own: REINDEX keeps it to the end of the transaction. */
class GateLock {
  readonly name: string
  readonly #database: TestDatabase
  readonly #psql: ChildProcess

  constructor(database: TestDatabase, index: string, name: string) {
    this.name = name
    this.#database = database
    const conninfo = `${conninfoOf(database.name, database.server)} application_name=${name}`
    this.#psql = spawn('psql', ['-X', '-q', '-d', conninfo], { stdio: ['pipe', 'ignore', 'ignore'] })
    this.#psql.stdin?.on('error', () => undefined)
    this.#psql.stdin?.write(`BEGIN; REINDEX INDEX ${index};\n`)
  }

  async end(): Promise<void> {
    const terminate = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '${this.name}'`
    // Where the server is gone, so is the lock.
    await this.#database.sql(terminate).catch(() => undefined)
    this.#psql.kill()
  }
}
