/**
 * One exported snapshot of a source, held open until everything has been read. Order matters (hazard 1): list the
 * tables, begin, lock them all in ACCESS SHARE as the first statements (which takes no snapshot yet), export, read the
 * catalog again inside the snapshot and start over if it differs. A table truncated after the snapshot would otherwise
 * read as empty without an error. The locks are held to the end.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import type {
  Inventory,
  InventoryDatabase,
  InventoryExtension,
  InventoryRole,
  InventorySequence,
  InventoryTableName,
} from '../model/inventory.ts'
import {
  readDatabase,
  readExtensions,
  readSuperuserOnly,
  readTablespaces,
  type Tablespace,
} from './catalog-database.ts'
import { readRoles } from './catalog-roles.ts'
import {
  countLargeObjects,
  readDoubts,
  readSequences,
  readServer,
  readTables,
  readTablesWithoutRows,
  type CatalogTable,
  type ServerFacts,
} from './catalog.ts'
import type { ServerAccess } from './conninfo.ts'
import { explainLockError } from './lock-conflicts.ts'
import { PsqlSession, type SessionOptions } from './psql-session.ts'
import { quoteLiteral, quoteQualified } from './quoting.ts'
import { circularReferences } from './reference-order.ts'
import type { Session } from './session.ts'
import { readSystemAdditions } from './system-additions.ts'
import { assertSupported } from './unsupported-extensions.ts'

export interface SnapshotOptions extends SessionOptions {
  readonly lockTimeoutMs: number
}

/** What the snapshot holds, besides the rows themselves. */
export interface SnapshotContent {
  readonly server: ServerFacts
  readonly database: InventoryDatabase
  readonly roles: readonly InventoryRole[]
  readonly tablespaces: readonly Tablespace[]
  readonly extensions: readonly InventoryExtension[]
  readonly superuserOnly: Inventory['superuserOnly']
  /** Tables with rows of their own. */
  readonly tables: readonly CatalogTable[]
  readonly sequences: readonly InventorySequence[]
  /** Of a standby: unlogged tables. */
  readonly rowsNotRead: readonly InventoryTableName[]
  readonly largeObjects: number
  /** What will not come back, though neither pg_dump nor COPY complains: in words. */
  readonly doubts: readonly string[]
}

/** What an importing session needs to read the same snapshot on the same server. */
export interface SnapshotHandle {
  readonly id: string
  readonly serverStartedAt: string
  readonly encoding: string
}

const attempts = 5
const locksPerStatement = 250

export class SourceSnapshot implements AsyncDisposable {
  readonly handle: SnapshotHandle
  readonly takenAt: Date
  readonly content: SnapshotContent
  readonly #session: PsqlSession
  #free: Promise<void> = Promise.resolve()

  private constructor(session: PsqlSession, handle: SnapshotHandle, takenAt: Date, content: SnapshotContent) {
    this.#session = session
    this.handle = handle
    this.takenAt = takenAt
    this.content = content
  }

  /** Throws ERR_CONNECT, ERR_POSTGRES (a lock not to be had in time) or ERR_SOURCE (tables that never keep still, extensions that cannot be restored). */
  static async take(access: ServerAccess, options: SnapshotOptions): Promise<SourceSnapshot> {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const session = await PsqlSession.open(access, options)
      try {
        await refuseViews(session)
        const server = await readServer(session)
        const snapshot = await lockAndExport(session, server, options.lockTimeoutMs)
        if (snapshot !== undefined) {
          const content = await readContent(session, server, snapshot.tables)
          return new SourceSnapshot(session, snapshot.handle, snapshot.takenAt, content)
        }
      } catch (error) {
        session.kill()
        if (isLockRefused(error)) throw await explainOverNewSession(error, access, options)
        if (!wasDropped(error)) throw error
      }
      session.kill()
    }
    throw new CoffreError(
      'ERR_SOURCE',
      `tables were created, altered or dropped during each of ${attempts} attempts to lock them`,
      { hint: 'run the backup when no migration is running' },
    )
  }

  /** Lends the session that holds the snapshot and all its locks, to one after the other. */
  async alone<T>(work: (session: PsqlSession) => Promise<T>): Promise<T> {
    const result = this.#free.then(() => work(this.#session))
    this.#free = result.then(
      () => undefined,
      () => undefined,
    )
    return await result
  }

  /** Throws when the session that holds the snapshot is gone: what was read since cannot be trusted to be whole. */
  async assertAlive(): Promise<void> {
    await this.alone((session) => session.execute('SELECT 1'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.kill()
  }
}

/** A refused lock has ended its session. */
async function explainOverNewSession(
  error: CoffreError,
  access: ServerAccess,
  options: SessionOptions,
): Promise<CoffreError> {
  const session = await PsqlSession.open(access, options)
  try {
    return await explainLockError(error, session)
  } finally {
    session.kill()
  }
}

/** Something that was listed is no longer there: undefined_table, invalid_schema_name (PostgreSQL, Appendix A). */
function wasDropped(error: unknown): boolean {
  return (
    error instanceof CoffreError && error.code === 'ERR_POSTGRES' && /\b(42P01|3F000): /.test(error.message)
  )
}

interface Exported {
  readonly handle: SnapshotHandle
  readonly takenAt: Date
  readonly tables: readonly CatalogTable[]
}

async function lockAndExport(
  session: PsqlSession,
  server: ServerFacts,
  lockTimeoutMs: number,
): Promise<Exported | undefined> {
  // Also for the listing: a table's size cannot be had while somebody holds it exclusively.
  await session.execute(`SET lock_timeout = ${Math.round(lockTimeoutMs)}`)
  const before = await readTables(session)
  // In one go: each `execute` ends with a SELECT, and the first one takes the snapshot. A table that is truncated between the
  // snapshot and its lock would read as empty.
  await session.execute(
    ['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', ...lockStatements(before)].join(';\n'),
  )
  const exported = z
    .object({ id: z.string().regex(/^[0-9A-F]+-[0-9A-F]+-\d+$/), takenAt: z.string() })
    .parse(
      (
        await session.query(
          `SELECT pg_catalog.pg_export_snapshot() AS id, pg_catalog.clock_timestamp() AS "takenAt"`,
        )
      )[0],
    )
  await session.execute('SET LOCAL lock_timeout = 0')
  const after = await readTables(session)
  if (identity(before) !== identity(after)) return undefined
  const handle = { id: exported.id, serverStartedAt: server.startedAt, encoding: server.encoding }
  return { handle, takenAt: new Date(exported.takenAt), tables: after }
}

interface NamedTable {
  readonly schema: string
  readonly name: string
}

function lockStatements(tables: readonly NamedTable[], wait = ''): readonly string[] {
  const batches = Array.from({ length: Math.ceil(tables.length / locksPerStatement) }, (_, batch) =>
    tables.slice(batch * locksPerStatement, (batch + 1) * locksPerStatement),
  )
  return batches.map((batch) => {
    const names = batch.map(({ schema, name }) => `ONLY ${quoteQualified(schema, name)}`)
    return `LOCK TABLE ${names.join(', ')} IN ACCESS SHARE MODE${wait}`
  })
}

/**
 * While the snapshot holds a table nobody else can have it exclusively, but somebody may ask for that; later sessions
 * then queue behind (PostgreSQL documentation, 13.3.1 Table-Level Locks). Throws what `isLockRefused` knows: such tables
 * are read over the snapshot's own session, which has their locks (hazard 3).
 */
export async function lockWithoutWaiting(session: Session, tables: readonly NamedTable[]): Promise<void> {
  for (const statement of lockStatements(tables, ' NOWAIT')) await session.execute(statement)
}

/**
 * lock_not_available (PostgreSQL, Appendix A): refused at once, or not to be had in time. pg_dump tells no codes, and has
 * a statement timeout for its locks only.
 */
export function isLockRefused(error: unknown): error is CoffreError {
  return (
    error instanceof CoffreError &&
    error.code === 'ERR_POSTGRES' &&
    /\b55P03: |^pg_dump .*canceling statement due to (?:statement|lock) timeout/.test(error.message)
  )
}

/** Somebody came to read in the snapshot, and its session had ended: that one knows why. */
export function isSnapshotGone(error: unknown): boolean {
  return (
    error instanceof CoffreError &&
    /invalid snapshot identifier|could not import the requested snapshot/.test(error.message)
  )
}

/** What must not have changed between listing and locking; sizes may. */
function identity(tables: readonly CatalogTable[]): string {
  return JSON.stringify(
    tables.map(({ oid, schema, name, kind, columns }) => [oid, schema, name, kind, columns]),
  )
}

async function readContent(
  session: PsqlSession,
  server: ServerFacts,
  tables: readonly CatalogTable[],
): Promise<SnapshotContent> {
  const extensions = await readExtensions(session)
  assertSupported(extensions)
  return {
    server,
    database: await readDatabase(session, server.versionNumber),
    roles: await readRoles(session, server.versionNumber),
    tablespaces: await readTablespaces(session),
    extensions,
    superuserOnly: await readSuperuserOnly(session),
    tables: tables.filter(({ kind }) => kind === 'r'),
    sequences: await readSequences(session),
    rowsNotRead: await readTablesWithoutRows(session),
    largeObjects: await countLargeObjects(session),
    doubts: [
      ...(await readDoubts(session, server)),
      ...circularReferences(tables),
      ...(await readSystemAdditions(session)),
    ],
  }
}

/**
 * A name that was a table or sequence and has become a view must not run its owner's code as the backup role (CVE-2024-7348,
 * the same setting as pg_dump's). Servers older than August 2024 do not have it; `ServerFacts.refusesViews` tells.
 */
async function refuseViews(session: Session): Promise<void> {
  await session.execute(`SELECT pg_catalog.set_config(name, 'view, foreign-table', false) IS NULL
    FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind'`)
}

/**
 * Names are resolved when a COPY runs, and ACCESS SHARE on a table does not stop `ALTER SCHEMA … RENAME`: throws unless
 * every name still means the table that was planned.
 */
export async function assertSameTables(
  session: Session,
  tables: readonly { readonly oid: string; readonly schema: string; readonly name: string }[],
): Promise<void> {
  if (tables.length === 0) return
  const pairs = tables.map(
    ({ oid, schema, name }) => `(${BigInt(oid)}, ${quoteLiteral(quoteQualified(schema, name))})`,
  )
  const [row] =
    await session.query(`SELECT count(*) AS moved FROM (VALUES ${pairs.join(', ')}) AS v(oid, name)
    WHERE pg_catalog.to_regclass(v.name)::pg_catalog.oid IS DISTINCT FROM v.oid::pg_catalog.oid`)
  if (z.object({ moved: z.number() }).parse(row).moved > 0) {
    throw new CoffreError('ERR_SOURCE', 'schemas or tables were renamed during the backup', {
      hint: 'run the backup again when the deployment is done',
    })
  }
}

/** A session that reads in another's snapshot: one transaction, ended with the statement list. */
export async function beginInSnapshot(
  session: Session,
  handle: SnapshotHandle,
  lockTimeoutMs: number,
): Promise<void> {
  await refuseViews(session)
  const [row] = await session.query(
    `SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text AS "startedAt"`,
  )
  if (z.object({ startedAt: z.string() }).parse(row).startedAt !== handle.serverStartedAt) {
    throw new CoffreError('ERR_SOURCE', 'connections to the source reach different servers', {
      hint: 'give one host in the URL, not a list or a balanced address',
    })
  }
  await session.execute(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${handle.id}'; SET LOCAL lock_timeout = ${Math.round(lockTimeoutMs)}`,
  )
}
