/**
 * Fills a staging database from an opened backup: rows by COPY on the lanes, sequence values by statements composed from the
 * inventory. Definitions and large objects are `load-definitions.ts`. No SQL text from an artifact is executed.
 */
import { CoffreError } from '../errors.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Artifact } from '../model/manifest.ts'
import type { LaneConnection } from '../pipeline/lane-tasks.ts'
import { laneAccess, type Lanes } from '../pipeline/lanes.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import { isOfAnotherPartition, readPartitions, type Partition } from '../postgres/partition-roots.ts'
import { PsqlSession } from '../postgres/psql-session.ts'
import { setSequenceStatement, type TableRows } from '../postgres/row-statements.ts'
import type { WireAddress } from '../postgres/wire/wire-address.ts'
import type { Context } from './context.ts'
import type { OpenedBackup } from './opened-backup.ts'
import type { Selection } from './restore-selection.ts'
import { tableKey } from './table-key.ts'

export interface LoadTarget {
  readonly context: Context
  readonly opened: OpenedBackup
  readonly inventory: Inventory
  /** Where only a part is restored. */
  readonly selection: Selection | undefined
  /** The staging database. */
  readonly access: ServerAccess
  /** The same, where event triggers do not act. */
  readonly silentAccess: ServerAccess
  /** Of its server, for coffre's own connections. */
  readonly wire: WireAddress | undefined
  /** Of every session. */
  readonly applicationName: string
  readonly lanes: Lanes
  readonly jobs: number
  /** Whether things go into the tablespaces they were in. */
  readonly tablespaces: boolean
}

/** What is to be there in the end. */
export function judgedInventory({ inventory, selection }: LoadTarget): Inventory {
  return selection?.inventory ?? inventory
}

export function targetConnection({ context, access, wire, applicationName }: LoadTarget): LaneConnection {
  return {
    access: laneAccess(access),
    wire,
    environment: context.environment,
    applicationName,
    lockTimeoutMs: 60_000,
  }
}

export function rowsOf(inventory: Inventory, index: number): TableRows {
  const table = inventory.tables[index]
  if (table === undefined) throw new CoffreError('ERR_FORMAT', `the inventory has no table ${index}`)
  return {
    schema: table.schema,
    name: table.name,
    columns: table.columns,
    partitioned: table.partitioned,
    condition: table.extension?.condition ?? '',
    encoding: inventory.database.encoding,
  }
}

interface RowArtifact {
  readonly artifact: Artifact
  readonly blocks: Inventory['rowArtifacts'][number]['blocks']
}

interface RefusedArtifact {
  readonly one: RowArtifact
  readonly error: CoffreError
}

/**
 * In the inventory's order. What the server refused is tried again after all the rest, as long as that brings anything
 * forward: functions in CHECK constraints and generated columns may read other tables, which had no rows yet; and rows that
 * it wants in other partitions go by way of the root. Returns the partitions of such roots. Throws what the last try said.
 */
export async function loadRowArtifacts(target: LoadTarget): Promise<readonly Partition[]> {
  const { inventory, opened, context } = target
  const artifacts = inventory.rowArtifacts.map(({ name, blocks }) => ({
    artifact: opened.artifact(name),
    blocks,
  }))
  if (artifacts.length !== opened.artifacts('rows').length) {
    throw new CoffreError('ERR_FORMAT', 'the inventory and the manifest do not name the same rows artifacts')
  }
  const chosen = artifacts.filter(({ blocks }) => blocks.some(({ table }) => isChosen(target, table)))
  const totalBytes = chosen.reduce((sum, { artifact }) => sum + artifact.bytes, 0)
  let doneBytes = 0
  const loaded = ({ artifact }: RowArtifact): void => {
    doneBytes += artifact.bytes
    context.emit({ type: 'progress', stage: 'loading', doneBytes, totalBytes })
  }
  let rerouted: readonly Partition[] = []
  for (let left: readonly RowArtifact[] = chosen; left.length > 0; ) {
    const refused = await loadOnce(target, left, rerouted, loaded)
    const [first] = refused
    if (first !== undefined && refused.length === left.length) {
      const more = await morePartitions(target, refused, rerouted)
      if (more.length === 0) throw first.error
      rerouted = [...rerouted, ...more]
    }
    left = refused.map(({ one }) => one)
  }
  await setSequences(target)
  return rerouted
}

/** Of the trees in which the server wants rows elsewhere than where they were; without those that are known already. */
async function morePartitions(
  target: LoadTarget,
  refused: readonly RefusedArtifact[],
  known: readonly Partition[],
): Promise<readonly Partition[]> {
  const elsewhere = refused.filter(({ error }) => isOfAnotherPartition(error.message))
  if (elsewhere.length === 0) return []
  const partitions = await inSession(target, readPartitions)
  const tables = new Set(
    elsewhere.flatMap(({ one }) => one.blocks.map(({ table }) => tableKey(rowsOf(target.inventory, table)))),
  )
  const roots = new Set(
    partitions.filter((one) => tables.has(tableKey(one))).map(({ root }) => tableKey(root)),
  )
  for (const { root } of known) roots.delete(tableKey(root))
  if (roots.size > 0)
    target.context.emit({
      type: 'note',
      message: `this server wants rows in other partitions than the source had them in: loaded by way of ${[...roots].join(', ')}`,
    })
  return partitions.filter(({ root }) => roots.has(tableKey(root)))
}

function isChosen({ selection }: LoadTarget, table: number): boolean {
  return selection === undefined || selection.tables.has(table)
}

/** Returns those that the server refused, each with the error. */
async function loadOnce(
  target: LoadTarget,
  artifacts: readonly RowArtifact[],
  rerouted: readonly Partition[],
  loaded: (one: RowArtifact) => void,
): Promise<readonly RefusedArtifact[]> {
  const { inventory, opened, lanes } = target
  const refused: RefusedArtifact[] = []
  const roots = new Map(rerouted.map((partition) => [tableKey(partition), partition.root]))
  const destination = (rows: TableRows): TableRows => ({ ...rows, ...roots.get(tableKey(rows)) })
  await lanes.each(artifacts, async (run, one) => {
    const { artifact, blocks } = one
    try {
      const { result } = run(
        {
          kind: 'load-rows',
          connection: targetConnection(target),
          artifact,
          sessionKey: await opened.sessionKey(artifact),
          algorithm: opened.backup.manifest.compression.algorithm,
          plainLimitBytes: opened.backup.manifest.plainBytes,
          blocks: blocks.map(({ table, bytes }) => ({
            rows: rowsOf(inventory, table),
            bytes,
            into: isChosen(target, table) ? destination(rowsOf(inventory, table)) : undefined,
          })),
        },
        { input: opened.stored(artifact) },
      )
      await result
    } catch (error) {
      if (!mayPassLater(error)) throw error
      refused.push({ one, error })
      return
    }
    loaded(one)
  })
  return refused
}

/** What has to do with the rows; not the server's own troubles, by their classes (PostgreSQL documentation, Appendix A). */
function mayPassLater(error: unknown): error is CoffreError {
  return (
    error instanceof CoffreError &&
    error.code === 'ERR_POSTGRES' &&
    /\b[0-9A-Z]{5}: /.test(error.message) &&
    !/\b(?:08|53|54|57|58|XX)[0-9A-Z]{3}: /.test(error.message)
  )
}

async function setSequences(target: LoadTarget): Promise<void> {
  const { sequences } = judgedInventory(target)
  await inSession(target, async (session) => {
    for (let start = 0; start < sequences.length; start += 200) {
      const statements = sequences.slice(start, start + 200).map((sequence) => setSequenceStatement(sequence))
      await session.execute(statements.join(';\n'))
    }
  })
}

async function inSession<T>(
  { context, access, applicationName }: LoadTarget,
  work: (session: PsqlSession) => Promise<T>,
): Promise<T> {
  const { environment, signal } = context
  const session = await PsqlSession.open(access, { environment, signal, applicationName })
  try {
    const result = await work(session)
    await session.close()
    return result
  } finally {
    session.kill()
  }
}
