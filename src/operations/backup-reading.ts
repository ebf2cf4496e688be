/**
 * Everything one snapshot holds, read at once by the lanes and sealed: definitions, globals, rows, large objects. What
 * comes back is what the inventory is made of.
 */
import { CoffreError } from '../errors.ts'
import type { Inventory, InventoryTable } from '../model/inventory.ts'
import { addRowDigests, emptyRowDigest, type RowDigest } from '../model/row-digest.ts'
import type { LaneConnection, LaneResults, SealedBlock } from '../pipeline/lane-tasks.ts'
import { laneAccess, type Lanes } from '../pipeline/lanes.ts'
import { sealHere } from '../pipeline/seal-rows.ts'
import type { CatalogTable } from '../postgres/catalog.ts'
import type { ClientEnvironment, ClientProgram } from '../postgres/client-tools.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import {
  globalsArguments,
  largeObjectDumpArguments,
  schemaDumpArguments,
  type DumpSession,
} from '../postgres/definitions.ts'
import { globalsScript } from '../postgres/globals-script.ts'
import { planRows, type RowTask } from '../postgres/plan.ts'
import {
  copyLargeObjects,
  rowsPreamble,
  setSequenceStatement,
  type TableRows,
} from '../postgres/row-statements.ts'
import { explainLockError } from '../postgres/lock-conflicts.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { isLockRefused, isSnapshotGone, type SourceSnapshot } from '../postgres/source-snapshot.ts'
import type { WireAddress } from '../postgres/wire/wire-address.ts'
import type { ArtifactName, ArtifactWriter } from './artifact-writer.ts'
import type { Emit } from '../observe/events.ts'
import { RowProgress } from './row-progress.ts'

export interface ReadingRequest {
  readonly environment: ClientEnvironment
  readonly access: ServerAccess
  readonly wire: WireAddress | undefined
  readonly applicationName: string
  readonly lockTimeoutMs: number
  /** Roles and tablespaces: those this database leans on, or all of the server. */
  readonly globals: 'used' | 'all'
  readonly snapshot: SourceSnapshot
  readonly writer: ArtifactWriter
  readonly lanes: Lanes
  readonly suffix: 'zst' | 'gz'
  /** Aborted when the snapshot is lost, with the reason. */
  readonly lost: AbortSignal
  /** Something a person must see to, though the backup is made. */
  readonly warn: (message: string, hint: string) => void
}

export interface ReadBackup {
  readonly tables: readonly InventoryTable[]
  readonly rowArtifacts: Inventory['rowArtifacts']
  readonly largeObjects: Inventory['largeObjects']
}

type RunOnLane = Parameters<Parameters<Lanes['each']>[1]>[0]
type SealedRows = LaneResults['seal-rows']
type Job = (run: RunOnLane) => Promise<void>

const smallestTargetBytes = 64 * 1024 * 1024
const mostRowArtifacts = 2000

export async function readEverything(emit: Emit, request: ReadingRequest): Promise<ReadBackup> {
  const { tables, largeObjects } = request.snapshot.content
  const totalBytes = tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const planned = planRows(tables, {
    targetBytes: Math.max(smallestTargetBytes, totalBytes / mostRowArtifacts),
  })
  // Sequences need an artifact to stand in even where there is no table.
  const tasks =
    planned.length === 0 && request.snapshot.content.sequences.length > 0
      ? [{ blocks: [], sizeBytes: 0 }]
      : planned
  const sealed = new Map<number, readonly SealedBlock[]>()
  let objects: RowDigest | undefined
  const progress = new RowProgress(emit, totalBytes)
  emit({ type: 'stage', stage: 'rows' })
  const jobs: readonly Job[] = [
    programJob(
      request,
      { kind: 'schema', name: `schema.dump.${request.suffix}.gpg` },
      'pg_dump',
      schemaDumpArguments(request.access, dumpSession(request)),
    ),
    ...tasks.map(
      (task, index): Job =>
        async (run) =>
          void sealed.set(index, await rowJob(request, tasks, index, task, progress)(run)),
    ),
    globalsJob(request),
    ...(largeObjects === 0
      ? []
      : [
          largeObjectJob(request),
          async (run: RunOnLane) => void (objects = await digestLargeObjects(request, run)),
        ]),
  ]
  await request.lanes
    .each(jobs, (run, job) => job(run), request.lost)
    .catch(async (error: unknown) => {
      if (isSnapshotGone(error)) await request.snapshot.assertAlive()
      throw error
    })
  return {
    tables: tables.map((table, index) => inventoryTable(table, digestOf(index, tasks, sealed))),
    rowArtifacts: tasks.map((task, index) => ({
      name: rowArtifactName(request, index).name,
      blocks: task.blocks.map(({ table }, at) => ({ table, ...blockAt(sealed, index, at) })),
      sequences: index === tasks.length - 1,
    })),
    largeObjects: objects === undefined ? null : { objects: largeObjects, ...objects },
  }
}

function connectionOf(request: ReadingRequest): LaneConnection {
  const { access, wire, environment, applicationName, lockTimeoutMs } = request
  return { access: laneAccess(access), wire, environment, applicationName, lockTimeoutMs }
}

function dumpSession({ applicationName, snapshot }: ReadingRequest): DumpSession {
  return { applicationName, snapshotId: snapshot.handle.id }
}

/**
 * Warnings that say nothing of what the program wrote: the order of rows is not its part here; and a locale that changed
 * under the source is the source's trouble, in whose restored copy all indexes are new.
 */
const besideThePoint = /there are circular foreign-key constraints|has a collation version mismatch/

function programJob(
  request: ReadingRequest,
  artifact: ArtifactName,
  program: ClientProgram,
  args: readonly string[],
): Job {
  const whole = artifact.kind === 'globals' ? 'globals' : 'archive'
  const connection = connectionOf(request)
  return async (run) => {
    const { warnings } = await request.writer
      .fromLane(artifact, (seal) =>
        run({ kind: 'seal-program', connection, program, arguments: args, whole, seal }, {}),
      )
      .catch(async (error: unknown) => {
        if (!isLockRefused(error)) throw error
        throw await request.snapshot.alone((session) => explainLockError(error, session))
      })
    for (const warning of warnings.filter((one) => !besideThePoint.test(one)))
      request.warn(warning, 'something was left out of the backup: see to it, or back up as a superuser')
  }
}

function globalsJob(request: ReadingRequest): Job {
  const artifact = { kind: 'globals', name: `globals.sql.${request.suffix}.gpg` } as const
  const { roles, tablespaces, server } = request.snapshot.content
  if (request.globals === 'used') {
    return () => request.writer.fromBytes(artifact, Buffer.from(globalsScript(roles, tablespaces)))
  }
  const args = globalsArguments(request.access, {
    verifiers: server.readsVerifiers,
    applicationName: request.applicationName,
  })
  return programJob(request, artifact, 'pg_dumpall', args)
}

function largeObjectJob(request: ReadingRequest): Job {
  const args = largeObjectDumpArguments(request.access, dumpSession(request))
  return programJob(
    request,
    { kind: 'large-objects', name: `large-objects.dump.${request.suffix}.gpg` },
    'pg_dump',
    args,
  )
}

async function digestLargeObjects(request: ReadingRequest, run: RunOnLane): Promise<RowDigest | undefined> {
  const { handle } = request.snapshot
  const connection = connectionOf(request)
  const { result } = run(
    {
      kind: 'digest',
      connection,
      snapshot: handle,
      statements: [copyLargeObjects],
    },
    {},
  )
  return (await result)[0]
}

function rowArtifactName(request: ReadingRequest, index: number): ArtifactName {
  return { kind: 'rows', name: `rows/${String(index + 1).padStart(4, '0')}.sql.${request.suffix}.gpg` }
}

function rowJob(
  request: ReadingRequest,
  tasks: readonly RowTask[],
  index: number,
  task: RowTask,
  progress: RowProgress,
) {
  return async (run: RunOnLane): Promise<readonly SealedBlock[]> => {
    const { sequences } = request.snapshot.content
    const blocks = task.blocks.map(({ table, pages }) => ({
      rows: tableRows(request.snapshot, table),
      oid: catalogTable(request.snapshot, table).oid,
      pages,
    }))
    const last = index === tasks.length - 1
    const trailer = last ? sequences.map((sequence) => `${setSequenceStatement(sequence)};\n`).join('') : ''
    const meter = progress.begin(task.sizeBytes)
    const { writer, snapshot } = request
    const connection = connectionOf(request)
    const rows = { blocks, preamble: rowsPreamble, trailer }
    const name = rowArtifactName(request, index)
    const onLane = (): Promise<SealedRows> =>
      writer.fromLane(name, (seal) =>
        run(
          { kind: 'seal-rows', connection, snapshot: snapshot.handle, seal, ...rows },
          { onProgress: meter.read },
        ),
      )
    const overSnapshot = (session: PsqlSession): Promise<SealedRows> =>
      writer.fromLane(name, (seal) => sealHere(session, { seal, ...rows }, meter.read))
    const { blocks: sealed, plainBytes } = await onLane().catch((error: unknown) => {
      if (!isLockRefused(error)) throw error
      return snapshot.alone(overSnapshot)
    })
    meter.end(plainBytes)
    return sealed
  }
}

function catalogTable({ content }: SourceSnapshot, index: number): CatalogTable {
  const table = content.tables[index]
  if (table === undefined) throw new CoffreError('ERR_INTERNAL', `there is no table ${index} in the plan`)
  return table
}

function tableRows(snapshot: SourceSnapshot, index: number): TableRows {
  const { schema, name, columns, condition, partitioned } = catalogTable(snapshot, index)
  return {
    schema,
    name,
    columns,
    partitioned,
    condition: condition ?? '',
    encoding: snapshot.handle.encoding,
  }
}

function blockAt(sealed: ReadonlyMap<number, readonly SealedBlock[]>, task: number, at: number): SealedBlock {
  const block = sealed.get(task)?.[at]
  if (block === undefined) throw new CoffreError('ERR_INTERNAL', `block ${at} of task ${task} was never read`)
  return block
}

/** A table's digest is the sum of its slices'. */
function digestOf(
  table: number,
  tasks: readonly RowTask[],
  sealed: ReadonlyMap<number, readonly SealedBlock[]>,
): RowDigest {
  let sum = emptyRowDigest
  for (const [index, task] of tasks.entries()) {
    for (const [at, block] of task.blocks.entries()) {
      if (block.table === table) sum = addRowDigests(sum, blockAt(sealed, index, at))
    }
  }
  return sum
}

function inventoryTable(table: CatalogTable, digest: RowDigest): InventoryTable {
  const { schema, name, columns, partitioned, extension, condition } = table
  return {
    schema,
    name,
    columns: [...columns],
    partitioned,
    extension: extension === null ? null : { name: extension, condition: condition ?? '' },
    ...digest,
  }
}

export function composeInventory(
  snapshot: SourceSnapshot,
  read: ReadBackup,
  named: { backup: string; source: string },
): Inventory {
  const { server, database, roles, extensions, superuserOnly, sequences, rowsNotRead } = snapshot.content
  return {
    type: 'coffre-inventory',
    format: 1,
    ...named,
    server: {
      version: server.version,
      versionNumber: server.versionNumber,
      systemIdentifier: server.systemIdentifier,
    },
    database,
    roles: [...roles],
    extensions: [...extensions],
    superuserOnly: [...superuserOnly],
    tables: [...read.tables],
    sequences: [...sequences],
    ...(rowsNotRead.length > 0 ? { rowsNotRead: [...rowsNotRead] } : {}),
    largeObjects: read.largeObjects,
    rowArtifacts: read.rowArtifacts,
  }
}
