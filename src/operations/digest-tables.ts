/** Reads a restored database's rows back, in parallel, into one RowDigest for each table of the inventory that is there. */
import type { Inventory, InventoryTable } from '../model/inventory.ts'
import { addRowDigests, emptyRowDigest, type RowDigest } from '../model/row-digest.ts'
import type { CatalogTable } from '../postgres/catalog.ts'
import { planRows, type RowTask } from '../postgres/plan.ts'
import { copyOutStatement } from '../postgres/row-statements.ts'
import { judgedInventory, targetConnection, type LoadTarget } from './load.ts'
import { tableKey } from './table-key.ts'

const taskBytes = 64 * 1024 * 1024

/** Rows without their columns. */
const counted = { columns: [], partitioned: false, extension: null, rows: 0, digest: emptyRowDigest.digest }

/** By `tableKey`; tables that are not expected are left out. */
export async function digestTables(
  target: LoadTarget,
  expected: readonly InventoryTable[],
  tables: readonly CatalogTable[],
): Promise<ReadonlyMap<string, RowDigest>> {
  const { lanes, context } = target
  const inventory = judgedInventory(target)
  const withoutRows = (inventory.rowsNotRead ?? []).map((table) => ({ ...table, ...counted }))
  const known = new Map([...withoutRows, ...expected].map((table) => [tableKey(table), table]))
  const tasks = planRows(tables, { targetBytes: taskBytes })
  const totalBytes = tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const sums = new Map<string, RowDigest>()
  let doneBytes = 0
  await lanes.each(tasks, async (run, task) => {
    const reads = readsOf(task, tables, inventory.database.encoding, known)
    const digests = await run(
      {
        kind: 'digest',
        connection: targetConnection(target),
        snapshot: undefined,
        statements: reads.map(({ statement }) => statement),
      },
      {},
    ).result
    for (const [at, { key }] of reads.entries()) {
      sums.set(key, addRowDigests(sums.get(key) ?? emptyRowDigest, digests[at] ?? emptyRowDigest))
    }
    doneBytes += task.sizeBytes
    context.emit({ type: 'progress', stage: 'comparing', doneBytes, totalBytes })
  })
  return sums
}

/** By the columns and the condition of the inventory: the restored table's own may stand in another order. */
function readsOf(
  task: RowTask,
  tables: readonly CatalogTable[],
  encoding: string,
  known: ReadonlyMap<string, Inventory['tables'][number]>,
): readonly { readonly key: string; readonly statement: string }[] {
  return task.blocks.flatMap(({ table, pages }) => {
    const found = tables[table]
    const wanted: InventoryTable | undefined = found && known.get(tableKey(found))
    if (wanted === undefined) return []
    const rows = { ...wanted, condition: wanted.extension?.condition ?? '', encoding }
    return [{ key: tableKey(wanted), statement: copyOutStatement(rows, pages) }]
  })
}
