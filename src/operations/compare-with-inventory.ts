/**
 * The judgement at the end of every restore: each table's rows and RowDigest, each sequence's value and the large
 * objects' content, read back out of the database and held against the inventory.
 */
import type { Inventory, InventorySequence } from '../model/inventory.ts'
import type { RowDigest } from '../model/row-digest.ts'
import { countLargeObjects, readSequences, readTables } from '../postgres/catalog.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { copyLargeObjects } from '../postgres/row-statements.ts'
import { digestTables, tableKey } from './digest-tables.ts'
import { targetConnection, type LoadTarget } from './load.ts'

/** What differs, in words; empty when everything is equal. */
export async function compareWithInventory(
  target: LoadTarget,
  session: PsqlSession,
): Promise<readonly string[]> {
  const { inventory } = target
  const present = (await readTables(session)).filter(({ kind }) => kind === 'r')
  const digests = await digestTables(target, present)
  return [
    ...tableDifferences(inventory, present.map(tableKey), digests),
    ...sequenceDifferences(inventory, await readSequences(session)),
    ...(await largeObjectDifferences(target, session)),
  ]
}

function tableDifferences(
  inventory: Inventory,
  present: readonly string[],
  digests: ReadonlyMap<string, RowDigest>,
): readonly string[] {
  const expected = new Set(inventory.tables.map(tableKey))
  const strangers = present.filter((key) => !expected.has(key))
  const differing = inventory.tables.flatMap((table) => {
    const key = tableKey(table)
    const found = digests.get(key)
    if (found === undefined) return [`table ${key} is missing`]
    if (found.rows !== table.rows) {
      return [`table ${key} has ${found.rows} rows, the snapshot had ${table.rows}`]
    }
    return found.digest === table.digest ? [] : [`table ${key} has as many rows as the snapshot, but others`]
  })
  return [...strangers.map((key) => `table ${key} was not in the snapshot`), ...differing]
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
  const { inventory, lanes } = target
  const expected = inventory.largeObjects
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
