/**
 * Partitions whose rows went in by way of their root are judged there, all of them together: in which of them a row lies is
 * the server's business. A RowDigest is a sum, so theirs add up to the root's.
 */
import type { InventoryTable } from '../model/inventory.ts'
import { addRowDigests, emptyRowDigest } from '../model/row-digest.ts'
import type { CatalogTable } from '../postgres/catalog.ts'
import type { Partition } from '../postgres/partition-roots.ts'
import { tableKey } from './table-key.ts'

export interface Judged {
  readonly expected: readonly InventoryTable[]
  readonly present: readonly CatalogTable[]
  /** By `tableKey`: roots whose partitions have their columns in different orders. Their rows can be counted. */
  readonly countedOnly: ReadonlySet<string>
}

/** `rerouted`: every partition of such a root. */
export function atTheirRoots(
  expected: readonly InventoryTable[],
  present: readonly CatalogTable[],
  rerouted: readonly Partition[],
): Judged {
  const rootOf = new Map(rerouted.map((partition) => [tableKey(partition), tableKey(partition.root)]))
  const roots = new Map(rerouted.map(({ root }) => [tableKey(root), root]))
  const apart = expected.filter((table) => !rootOf.has(tableKey(table)))
  const sums = [...roots].map(([key, root]) =>
    sumOf(
      root,
      expected.filter((table) => rootOf.get(tableKey(table)) === key),
    ),
  )
  return {
    expected: [...apart, ...sums.map(({ table }) => table)],
    present: [
      ...present.filter((table) => !rootOf.has(tableKey(table)) && !roots.has(tableKey(table))),
      ...present
        .filter((table) => roots.has(tableKey(table)))
        .map((table) => ({ ...table, kind: 'r' as const, partitioned: true })),
    ],
    countedOnly: new Set(sums.filter(({ alike }) => !alike).map(({ table }) => tableKey(table))),
  }
}

function sumOf(
  root: Partition['root'],
  tables: readonly InventoryTable[],
): { readonly table: InventoryTable; readonly alike: boolean } {
  const columns = tables[0]?.columns ?? []
  const alike = tables.every((table) => JSON.stringify(table.columns) === JSON.stringify(columns))
  const sum = tables.reduce((before, table) => addRowDigests(before, table), emptyRowDigest)
  return { table: { ...root, ...sum, columns, partitioned: true, extension: null }, alike }
}
