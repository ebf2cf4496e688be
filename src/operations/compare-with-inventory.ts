/**
 * The judgement at the end of every restore: each table's rows and RowDigest, each sequence's value and the large
 * objects' content, read back out of the database and held against the inventory. Where a digest differs and the server may
 * write a column's values otherwise, that is told, and no verdict.
 */
import type { Inventory, InventorySequence } from '../model/inventory.ts'
import type { RowDigest } from '../model/row-digest.ts'
import { countLargeObjects, readSequences, readServer, readTables } from '../postgres/catalog.ts'
import type { Partition } from '../postgres/partition-roots.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { copyLargeObjects } from '../postgres/row-statements.ts'
import { readDoubtfulColumns } from '../postgres/type-doubts.ts'
import { digestTables } from './digest-tables.ts'
import { judgedInventory, targetConnection, type LoadTarget } from './load.ts'
import { atTheirRoots } from './partition-sums.ts'
import { tableKey } from './table-key.ts'

/**
 * What differs, in words; empty when everything is equal. What cannot be compared is a warning. `rerouted`: the partitions
 * whose rows went in by way of their root.
 */
export async function compareWithInventory(
  target: LoadTarget,
  session: PsqlSession,
  rerouted: readonly Partition[],
): Promise<readonly string[]> {
  const inventory = judgedInventory(target)
  const judged = atTheirRoots(inventory.tables, await readTables(session), rerouted)
  const known = new Set(judged.expected.map(tableKey))
  const present = judged.present.filter(
    (table) => table.kind === 'r' && (target.selection === undefined || known.has(tableKey(table))),
  )
  const digests = await digestTables(target, judged.expected, present)
  const doubtful = new Map([
    ...(await doubtfulTables(session, inventory)),
    ...[...judged.countedOnly].map((key) => [key, ofMixedColumns] as const),
  ])
  const expected = { ...inventory, tables: [...judged.expected] }
  const tables = tableDifferences(expected, present.map(tableKey), digests, doubtful)
  for (const message of tables.incomparable) {
    target.context.emit({ type: 'warning', message, hint: 'compare such columns by what they mean, by hand' })
  }
  return [
    ...tables.differing,
    ...sequenceDifferences(inventory, await readSequences(session)),
    ...(await largeObjectDifferences(target, session)),
  ]
}

const ofMixedColumns =
  'its partitions have their columns in different orders, and its rows went into others than they came from'

/** By `tableKey`: which columns cannot be judged, and why. */
async function doubtfulTables(
  session: PsqlSession,
  inventory: Inventory,
): Promise<ReadonlyMap<string, string>> {
  const { versionNumber } = await readServer(session)
  const columns = await readDoubtfulColumns(session, inventory, versionNumber)
  const byTable = Map.groupBy(columns, ({ schema, table }) => tableKey({ schema, name: table }))
  return new Map(
    [...byTable].map(([key, doubts]) => [
      key,
      doubts.map(({ column, because }) => `column ${column}, as ${because}`).join('; '),
    ]),
  )
}

function tableDifferences(
  inventory: Inventory,
  present: readonly string[],
  digests: ReadonlyMap<string, RowDigest>,
  doubtful: ReadonlyMap<string, string>,
): { readonly differing: readonly string[]; readonly incomparable: readonly string[] } {
  const incomparable: string[] = []
  const expected = new Set(inventory.tables.map(tableKey))
  const empty = new Set((inventory.rowsNotRead ?? []).map(tableKey))
  const strangers = present.filter(
    (key) => !expected.has(key) && !(empty.has(key) && digests.get(key)?.rows === 0),
  )
  const differing = inventory.tables.flatMap((table) => {
    const key = tableKey(table)
    const found = digests.get(key)
    if (found === undefined) return [`table ${key} is missing`]
    if (found.rows !== table.rows) {
      return [`table ${key} has ${found.rows} rows, the snapshot had ${table.rows}`]
    }
    if (found.digest === table.digest) return []
    const doubt = doubtful.get(key)
    if (doubt === undefined) return [`table ${key} has as many rows as the snapshot, but others`]
    incomparable.push(
      `table ${key} has as many rows as the snapshot; their content is not comparable: ${doubt}`,
    )
    return []
  })
  return {
    differing: [...strangers.map((key) => `table ${key} was not in the snapshot`), ...differing],
    incomparable,
  }
}

function sequenceDifferences(inventory: Inventory, present: readonly InventorySequence[]): readonly string[] {
  const found = new Map(present.map((sequence) => [tableKey(sequence), sequence]))
  return inventory.sequences.flatMap((sequence) => {
    const now = found.get(tableKey(sequence))
    if (now === undefined) return [`sequence ${tableKey(sequence)} is missing`]
    const same = now.lastValue === sequence.lastValue && now.isCalled === sequence.isCalled
    const stands = `sequence ${tableKey(sequence)} stands at ${now.lastValue}, the snapshot had ${sequence.lastValue}`
    return same ? [] : [stands]
  })
}

async function largeObjectDifferences(target: LoadTarget, session: PsqlSession): Promise<readonly string[]> {
  const { lanes } = target
  const expected = judgedInventory(target).largeObjects
  const objects = await countLargeObjects(session)
  if (objects !== (expected?.objects ?? 0)) {
    return [`there are ${objects} large objects, the snapshot had ${expected?.objects ?? 0}`]
  }
  if (expected === null) return []
  let found: RowDigest | undefined
  await lanes.each([copyLargeObjects], async (run, statement) => {
    const connection = targetConnection(target)
    const task = {
      kind: 'digest',
      connection,
      snapshot: undefined,
      statements: [statement],
    } as const
    ;[found] = await run(task, {}).result
  })
  const same = found?.digest === expected.digest && found.rows === expected.rows
  return same ? [] : ['the large objects have other content']
}
