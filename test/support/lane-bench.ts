/**
 * A database with a table that lanes read, in a snapshot held open, and another one with an empty table of the same
 * name to load it into; tasks for both; and the eyes that see whether threads and children are left.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Worker } from 'node:worker_threads'
import type { DigestTask, LaneConnection, LoadRowsTask, SealRowsTask } from '../../src/pipeline/lane-tasks.ts'
import { laneAccess, Lanes } from '../../src/pipeline/lanes.ts'
import type { Sealed } from '../../src/pipeline/seal.ts'
import { rowsPreamble, type TableRows } from '../../src/postgres/row-statements.ts'
import { SourceSnapshot } from '../../src/postgres/source-snapshot.ts'
import { eventually } from './patience.ts'
import { makeDatabase, type TestDatabase } from './postgres.ts'
import { descendantsOf, isRunning } from './processes.ts'
import { environment, testAccess } from './session.ts'

export type Run = Parameters<Parameters<Lanes['each']>[1]>[0]

/** Of the table `large`: text that compresses to half. */
export const largeRows = 50_000
export const largeBytes = largeRows * 321

export class LaneBench implements AsyncDisposable {
  readonly source: TestDatabase
  readonly target: TestDatabase
  /** The lanes' threads that run. */
  readonly threads = new Set<Worker>()
  readonly #snapshot: SourceSnapshot
  readonly #standing: readonly number[]
  readonly #hear = (message: unknown): void => {
    const { worker } = message as { worker: Worker }
    this.threads.add(worker)
    worker.once('exit', () => this.threads.delete(worker))
  }

  private constructor(source: TestDatabase, target: TestDatabase, snapshot: SourceSnapshot) {
    this.source = source
    this.target = target
    this.#snapshot = snapshot
    this.#standing = started()
    subscribe('worker_threads', this.#hear)
  }

  static async make(): Promise<LaneBench> {
    const source = await makeDatabase('lanes')
    await source.sql(
      `CREATE TABLE large AS SELECT (SELECT string_agg(md5(n::text || m), '') FROM generate_series(1, 10) m) AS a
         FROM generate_series(1, ${largeRows}) n`,
    )
    const target = await makeDatabase('lanes_to')
    await target.sql('CREATE TABLE large (a text)')
    const options = { environment, applicationName: 'coffre lanes', lockTimeoutMs: 10_000 }
    return new LaneBench(source, target, await SourceSnapshot.take(testAccess(source.name), options))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    unsubscribe('worker_threads', this.#hear)
    await this.#snapshot[Symbol.asyncDispose]()
    await this.source[Symbol.asyncDispose]()
    await this.target[Symbol.asyncDispose]()
  }

  /** The psql children of lanes. */
  children(): readonly number[] {
    return started().filter((pid) => !this.#standing.includes(pid))
  }

  /** Runs jobs on so many lanes, then sees to it that nothing of them is left. */
  async withLanes(
    count: number,
    jobs: readonly ((run: Run) => Promise<void>)[],
    signal = new AbortController().signal,
  ): Promise<void> {
    try {
      await using lanes = new Lanes(count, signal)
      assert.equal(lanes.count, count)
      await lanes.each(jobs, (run, job) => job(run))
    } finally {
      assert.equal(this.threads.size, 0, 'every thread has ended')
      await eventually('all children have ended', () => this.children().length === 0)
    }
  }

  sealRows(): SealRowsTask {
    const { oid } = this.#snapshot.content.tables[0] ?? assert.fail('no table')
    const compression = { algorithm: 'zstd', level: 1 } as const
    return {
      kind: 'seal-rows',
      connection: connectionTo(this.source),
      snapshot: this.#snapshot.handle,
      seal: { sessionKey: randomBytes(32), envelope: randomBytes(94), compression },
      blocks: [{ rows: large, oid, pages: undefined }],
      preamble: rowsPreamble,
      trailer: '',
    }
  }

  /** Loads what was sealed, one block, into the target. */
  loadRows({ facts }: Sealed, sessionKey: Buffer, blockBytes: number): LoadRowsTask {
    return {
      kind: 'load-rows',
      connection: connectionTo(this.target),
      artifact: { name: 'rows/0001.sql.zst.gpg', kind: 'rows', ...facts },
      sessionKey,
      algorithm: 'zstd',
      plainLimitBytes: 2 * blockBytes + 10_000,
      blocks: [{ rows: large, bytes: blockBytes, into: large }],
    }
  }

  digest(statement: string, database = this.source): DigestTask {
    return {
      kind: 'digest',
      connection: connectionTo(database),
      snapshot: undefined,
      statements: [statement],
    }
  }
}

/** The one table, at both ends. */
export const large: TableRows = {
  schema: 'public',
  name: 'large',
  columns: ['a'],
  condition: '',
  partitioned: false,
  encoding: 'UTF8',
}

function connectionTo({ name }: TestDatabase): LaneConnection {
  const access = laneAccess(testAccess(name))
  return { access, wire: undefined, environment, applicationName: 'coffre lane', lockTimeoutMs: 10_000 }
}

function started(): readonly number[] {
  return descendantsOf(process.pid)
    .filter((child) => child.name === 'psql' && isRunning(child))
    .map(({ pid }) => pid)
}
