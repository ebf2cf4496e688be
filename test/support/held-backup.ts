/**
 * A backup held in the middle of its rows: its snapshot is taken, pg_dump and a lane wait for one table's lock, and
 * bytes of other tables are already under way. No clock is in it: a backup gets there or the test fails.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { startCoffre, type Outcome, type RunOptions } from './coffre.ts'
import { eventually } from './patience.ts'
import { conninfoOf, type TestDatabase } from './postgres.ts'

export interface HeldBackup extends AsyncDisposable {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  /** Of the session that holds the snapshot. */
  readonly snapshotBackend: number
  /** Of the sessions that wait: lanes and pg_dump. */
  waiting(): Promise<readonly { readonly pid: number; readonly query: string }[]>
  /** Lets it go on, after `first` was run where the lock is held. */
  release(first?: string): Promise<void>
}

/** An exclusive lock on the table, held or asked for by a psql of its own. */
class ExclusiveLock {
  readonly name: string
  readonly #database: TestDatabase
  readonly #psql: ChildProcess

  constructor(database: TestDatabase, table: string, name: string) {
    this.name = name
    this.#database = database
    this.#psql = spawn(
      'psql',
      ['-X', '-q', '-d', `${conninfoOf(database.name, database.server)} application_name=${name}`],
      {
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    )
    this.#psql.stdin?.on('error', () => undefined)
    this.run(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE;`)
  }

  run(text: string): void {
    this.#psql.stdin?.write(`${text}\n`)
  }

  /** What was run is done, and the lock free. */
  async commit(): Promise<void> {
    const ended = once(this.#psql, 'close')
    this.#psql.stdin?.end('COMMIT;\n')
    await ended
  }

  async end(): Promise<void> {
    const terminate = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '${this.name}'`
    // Where the server is gone, so is the lock.
    await this.#database.sql(terminate).catch(() => undefined)
    this.#psql.kill()
  }
}

interface Request {
  readonly pid: number
  readonly application: string
  readonly state: string
  readonly mode: string
  readonly granted: boolean
  readonly query: string
}

async function requests(database: TestDatabase, table: string): Promise<readonly Request[]> {
  const lines = await database.sql(`SELECT row_to_json(r) FROM (
    SELECT a.pid, a.application_name AS application, a.state, l.mode, l.granted, a.query
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'relation' AND l.relation = '${table}'::regclass AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) r`)
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Request)
}

const exclusive = ({ mode }: Request): boolean => mode === 'AccessExclusiveLock'
const shared = ({ mode }: Request): boolean => mode === 'AccessShareLock'

/**
 * Starts `coffre` with `args` and holds it. The lock is held first, so that coffre must wait for it; then another is
 * asked for behind coffre's back and the first let go, until coffre's snapshot has the table and all later sessions
 * queue behind the one that was asked for last.
 */
export async function holdBackup(
  database: TestDatabase,
  table: string,
  args: readonly string[],
  options: RunOptions & {
    /** Statements for the transaction that coffre first waits for. */
    readonly whileLocked?: string
  },
): Promise<HeldBackup> {
  let count = 0
  const ask = async (): Promise<ExclusiveLock> => {
    const name = `gate_${process.pid}_${++count}`
    const lock = new ExclusiveLock(database, table, name)
    await eventually(`${name} asks for the lock`, async () =>
      (await requests(database, table)).some((one) => exclusive(one) && one.application === name),
    )
    return lock
  }
  const snapshotOf = (all: readonly Request[]): Request | undefined =>
    all.find(
      (one) =>
        shared(one) &&
        one.granted &&
        one.application.startsWith('coffre ') &&
        one.state === 'idle in transaction',
    )
  let lock = await ask()
  if (options.whileLocked !== undefined) lock.run(options.whileLocked)
  const { child, ended } = startCoffre(args, options)
  for (let round = 1; ; round += 1) {
    const all = await eventually('coffre comes to the lock', async () => {
      assert.equal(
        child.exitCode,
        null,
        `coffre ended early: ${child.exitCode === null ? '' : (await ended).stderr}`,
      )
      const found = await requests(database, table)
      return (snapshotOf(found) !== undefined || found.some((one) => shared(one) && !one.granted)) && found
    })
    if (snapshotOf(all) !== undefined) break
    assert.ok(round < 10, 'coffre never took its snapshot')
    const next = await ask()
    await (round === 1 ? lock.commit() : lock.end())
    lock = next
  }
  const waiting = async (): Promise<readonly Request[]> =>
    (await requests(database, table)).filter((one) => shared(one) && !one.granted)
  const snapshot = await eventually(
    'a lane waits',
    async () =>
      (await waiting()).some(({ query }) => query.startsWith('COPY')) &&
      snapshotOf(await requests(database, table)),
  )
  return {
    child,
    ended,
    snapshotBackend: snapshot.pid,
    waiting,
    release: async (first) => {
      if (first !== undefined) {
        lock.run(first)
        await eventually(
          'the statement was run',
          async () => !(await requests(database, table)).some((one) => one.application === lock.name),
        )
      }
      await lock.end()
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await lock.end()
      await ended
    },
  }
}
