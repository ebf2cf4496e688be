/**
 * Cuts a snapshot's rows into tasks of like size: large tables into slices by ctid range, small ones gathered into
 * batches. A pure decision; each task becomes one `rows` artifact, and they are loaded in its order.
 */
import type { CatalogTable } from './catalog.ts'
import { inReferenceOrder } from './reference-order.ts'

export interface PageRange {
  readonly from: number
  /** Exclusive; undefined for the last slice, which stays open so that no row can lie behind it. */
  readonly to: number | undefined
}

export interface PlannedBlock {
  /** Index into the planned tables. */
  readonly table: number
  readonly pages: PageRange | undefined
}

export interface RowTask {
  readonly blocks: readonly PlannedBlock[]
  /** Size on the source's disk, for progress and for the order of work. */
  readonly sizeBytes: number
}

export interface PlanOptions {
  /** A slice or a full batch is about this large on the source's disk. */
  readonly targetBytes: number
}

/** More than these would be mere clutter in the repository. */
const mostLateTasks = 200

/**
 * The largest tasks come first, so that no lane is left alone with one at the end. An extension's tables with foreign keys
 * among them share one task, in their order. Tables whose rows functions of the user's look at stand last and each by
 * itself, as far as there are not too many: such a function may read any other table, and a task that failed because that
 * one had no rows yet is tried again.
 */
export function planRows(tables: readonly CatalogTable[], options: PlanOptions): readonly RowTask[] {
  const referred = new Set(tables.flatMap(({ references }) => references))
  const isTied = ({ oid, references }: CatalogTable): boolean => references.length > 0 || referred.has(oid)
  const tied: CatalogTable[] = []
  const slices: RowTask[] = []
  const small: RowTask[] = []
  const lateSlices: RowTask[] = []
  const lateSmall: RowTask[] = []
  tables.forEach((table, index) => {
    if (isTied(table)) tied.push(table)
    else if (isSliced(table, options)) {
      const into = table.late ? lateSlices : slices
      into.push(...sliceTable(table, index, options.targetBytes))
    } else {
      const into = table.late ? lateSmall : small
      into.push({ blocks: [{ table: index, pages: undefined }], sizeBytes: table.sizeBytes })
    }
  })
  const together = [...slices, ...inOneTask(tied, tables), ...batches(small, options.targetBytes, mostBlocks)]
  const perTask = Math.ceil(lateSmall.length / mostLateTasks)
  return [
    ...together.sort((a, b) => b.sizeBytes - a.sizeBytes),
    ...lateSlices,
    ...batches(lateSmall, options.targetBytes, perTask),
  ]
}

function isSliced(table: CatalogTable, { targetBytes }: PlanOptions): boolean {
  return table.heap && table.extension === null && table.sizeBytes > 1.5 * targetBytes && table.heapPages > 1
}

function inOneTask(tied: readonly CatalogTable[], tables: readonly CatalogTable[]): readonly RowTask[] {
  if (tied.length === 0) return []
  const blocks = inReferenceOrder(tied).map((table) => ({ table: tables.indexOf(table), pages: undefined }))
  return [{ blocks, sizeBytes: tied.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }]
}

function sliceTable(table: CatalogTable, index: number, targetBytes: number): readonly RowTask[] {
  const slices = Math.min(Math.ceil(table.sizeBytes / targetBytes), table.heapPages)
  const edges = Array.from({ length: slices }, (_, i) => Math.floor((i * table.heapPages) / slices))
  return edges.map((from, i) => ({
    blocks: [{ table: index, pages: { from, to: edges[i + 1] } }],
    sizeBytes: table.sizeBytes / slices,
  }))
}

const mostBlocks = 500

function batches(tables: readonly RowTask[], targetBytes: number, most: number): readonly RowTask[] {
  const full: RowTask[] = []
  let open: RowTask = { blocks: [], sizeBytes: 0 }
  for (const table of tables) {
    if (
      open.blocks.length > 0 &&
      (open.sizeBytes + table.sizeBytes > targetBytes || open.blocks.length >= most)
    ) {
      full.push(open)
      open = { blocks: [], sizeBytes: 0 }
    }
    open = { blocks: [...open.blocks, ...table.blocks], sizeBytes: open.sizeBytes + table.sizeBytes }
  }
  return open.blocks.length > 0 ? [...full, open] : full
}
