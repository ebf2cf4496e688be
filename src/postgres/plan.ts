/**
 * Cuts a snapshot's rows into tasks of like size: large tables into slices by ctid range, small ones gathered into
 * batches. A pure decision; each task becomes one `rows` artifact.
 */
import type { CatalogTable } from './catalog.ts'

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

/** The largest tasks come first, so that no lane is left alone with one at the end. */
export function planRows(tables: readonly CatalogTable[], options: PlanOptions): readonly RowTask[] {
  const slices: RowTask[] = []
  const small: RowTask[] = []
  tables.forEach((table, index) => {
    if (
      table.heap &&
      table.extension === null &&
      table.sizeBytes > 1.5 * options.targetBytes &&
      table.heapPages > 1
    ) {
      slices.push(...sliceTable(table, index, options.targetBytes))
    } else {
      small.push({ blocks: [{ table: index, pages: undefined }], sizeBytes: table.sizeBytes })
    }
  })
  return [...slices, ...batches(small, options.targetBytes)].sort((a, b) => b.sizeBytes - a.sizeBytes)
}

function sliceTable(table: CatalogTable, index: number, targetBytes: number): readonly RowTask[] {
  const slices = Math.min(Math.ceil(table.sizeBytes / targetBytes), table.heapPages)
  const edges = Array.from({ length: slices }, (_, i) => Math.floor((i * table.heapPages) / slices))
  return edges.map((from, i) => ({
    blocks: [{ table: index, pages: { from, to: edges[i + 1] } }],
    sizeBytes: table.sizeBytes / slices,
  }))
}

function batches(tables: readonly RowTask[], targetBytes: number): readonly RowTask[] {
  const full: RowTask[] = []
  let open: RowTask = { blocks: [], sizeBytes: 0 }
  for (const table of tables) {
    if (
      open.blocks.length > 0 &&
      (open.sizeBytes + table.sizeBytes > targetBytes || open.blocks.length >= 500)
    ) {
      full.push(open)
      open = { blocks: [], sizeBytes: 0 }
    }
    open = { blocks: [...open.blocks, ...table.blocks], sizeBytes: open.sizeBytes + table.sizeBytes }
  }
  return open.blocks.length > 0 ? [...full, open] : full
}
