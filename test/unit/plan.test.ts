/** The plan of a backup's rows: over any tables there can be, every row is read exactly once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { CatalogTable } from '../../src/postgres/catalog.ts'
import { planRows, type PlannedBlock, type RowTask } from '../../src/postgres/plan.ts'
import { circularReferences } from '../../src/postgres/reference-order.ts'
import { holds } from '../support/property.ts'

const pageBytes = 8192
const mostBlocks = 500

interface Drawn {
  readonly heapPages: number
  /** Beside the heap's own pages: TOAST, the free space map. */
  readonly moreBytes: number
  readonly heap: boolean
  readonly extension: string | null
  readonly late?: boolean
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  heapPages: fc.oneof(fc.nat(3), fc.nat(200), fc.nat(200_000)),
  moreBytes: fc.oneof(fc.constant(0), fc.nat(100_000), fc.nat(1_000_000_000)),
  heap: fc.nat(4).map((n) => n > 0),
  extension: fc.nat(4).map((n) => (n === 0 ? 'postgis' : null)),
  late: fc.nat(4).map((n) => n === 0),
})

function tablesOf(all: readonly Drawn[]): readonly CatalogTable[] {
  return all.map(({ heapPages, moreBytes, heap, extension, late = false }, index) => ({
    oid: String(16_384 + index),
    schema: 'public',
    name: `t${index}`,
    kind: 'r',
    partitioned: false,
    columns: ['id'],
    heap,
    heapPages,
    sizeBytes: heapPages * pageBytes + moreBytes,
    extension,
    condition: null,
    references: [],
    late,
  }))
}

const tables = fc
  .oneof(
    fc.array(drawn, { maxLength: 40 }),
    fc.array(drawn, { minLength: 300, maxLength: 1300, size: 'max' }),
  )
  .map(tablesOf)
const target = fc.oneof(
  fc.integer({ min: 1, max: 100_000 }),
  fc.integer({ min: 1_000_000, max: 200_000_000 }),
)

/** Slices of a table's pages are held down to a number a test can look at. */
const drawing = fc.tuple(tables, target).map(([all, drawnBytes]) => ({
  tables: all,
  targetBytes: Math.max(drawnBytes, all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 2000),
}))

const blocksOf = (tasks: readonly RowTask[]): readonly PlannedBlock[] => tasks.flatMap(({ blocks }) => blocks)
const isSlice = ({ blocks }: RowTask): boolean => blocks.some(({ pages }) => pages !== undefined)

test('every page of every table is read exactly once', async (t) => {
  const property = fc.property(drawing, ({ tables, targetBytes }) => {
    const blocks = Map.groupBy(blocksOf(planRows(tables, { targetBytes })), ({ table }) => table)
    for (const index of tables.keys()) {
      const ranges = (blocks.get(index) ?? []).map(({ pages }) => pages)
      if (ranges.length === 1 && ranges[0] === undefined) continue
      assert.ok(ranges.length > 1, `table ${index} is in ${ranges.length} blocks`)
      const inOrder = ranges
        .map((range) => range ?? assert.fail('sliced and whole'))
        .sort((a, b) => a.from - b.from)
      assert.equal(inOrder[0]?.from, 0)
      for (const [at, { from, to }] of inOrder.entries()) {
        const next = inOrder[at + 1]?.from
        assert.equal(to, next, 'slices touch, and the last one is open')
        if (next !== undefined) assert.ok(from < next, 'no slice is empty')
      }
      assert.ok((inOrder.at(-1)?.from ?? 0) < (tables[index]?.heapPages ?? 0))
    }
    assert.equal(blocks.size, tables.length)
  })
  await holds(t, property, 200)
})

test('only heap tables that are no extension’s are sliced, each slice a task of its own', async (t) => {
  const property = fc.property(drawing, ({ tables, targetBytes }) => {
    for (const task of planRows(tables, { targetBytes }).filter(isSlice)) {
      assert.equal(task.blocks.length, 1)
      const table = tables[task.blocks[0]?.table ?? -1]
      assert.ok(table?.heap === true && table.extension === null)
      // As large as asked, or one page where there are fewer pages than slices were wanted.
      const pageShare = table.sizeBytes / table.heapPages
      assert.ok(task.sizeBytes <= Math.max(targetBytes, pageShare) * (1 + Number.EPSILON * 4))
    }
  })
  await holds(t, property, 200)
})

test('batches keep to the size and the number of tables, but for a table that is larger by itself', async (t) => {
  const property = fc.property(drawing, ({ tables, targetBytes }) => {
    for (const { blocks, sizeBytes } of planRows(tables, { targetBytes }).filter((task) => !isSlice(task))) {
      assert.ok(blocks.length > 0 && blocks.length <= mostBlocks)
      assert.ok(blocks.length === 1 || sizeBytes <= targetBytes)
      const sum = blocks.reduce((bytes, { table }) => bytes + (tables[table]?.sizeBytes ?? 0), 0)
      assert.equal(sizeBytes, sum)
    }
  })
  await holds(t, property, 200)
})

test('the largest tasks come first, those of late tables last, and all bytes are counted', async (t) => {
  const property = fc.property(drawing, ({ tables, targetBytes }) => {
    const tasks = planRows(tables, { targetBytes })
    const isLate = ({ blocks }: RowTask): boolean => blocks.some(({ table }) => tables[table]?.late === true)
    const firstLate = tasks.findIndex(isLate)
    const early = firstLate < 0 ? tasks : tasks.slice(0, firstLate)
    for (const { blocks } of tasks.slice(early.length))
      assert.ok(blocks.every(({ table }) => tables[table]?.late === true))
    for (const [at, { sizeBytes }] of early.entries()) assert.ok(sizeBytes >= (early[at + 1]?.sizeBytes ?? 0))
    const counted = tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const there = tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    assert.ok(Math.abs(counted - there) <= there / 1e9)
  })
  await holds(t, property, 200)
})

const one = (changes: Partial<CatalogTable>): readonly CatalogTable[] => [
  {
    ...(tablesOf([{ heapPages: 1000, moreBytes: 0, heap: true, extension: null }])[0] ?? assert.fail()),
    ...changes,
  },
]

test('a table is cut from one and a half times the target on', () => {
  const sizeBytes = 1000 * pageBytes
  const slices = (changes: Partial<CatalogTable>, targetBytes: number): number =>
    planRows(one(changes), { targetBytes }).filter(isSlice).length
  assert.equal(slices({}, sizeBytes / 1.5), 0)
  assert.equal(slices({}, sizeBytes / 1.5 - 1), 2)
  assert.equal(slices({}, sizeBytes / 10), 10)
  assert.equal(slices({ heap: false }, sizeBytes / 10), 0)
  assert.equal(slices({ extension: 'postgis' }, sizeBytes / 10), 0)
  assert.equal(slices({ heapPages: 1 }, sizeBytes / 10), 0)
  assert.equal(slices({ heapPages: 3 }, sizeBytes / 10), 3, 'no more slices than pages')
})

test('a late table has a task of its own, unless there are hundreds of them', () => {
  const late = (count: number): readonly CatalogTable[] =>
    tablesOf(
      Array.from({ length: count }, () => ({
        heapPages: 1,
        moreBytes: 0,
        heap: true,
        extension: null,
        late: true,
      })),
    )
  const blocks = (count: number): readonly number[] =>
    planRows(late(count), { targetBytes: 1e9 }).map((task) => task.blocks.length)
  assert.deepEqual(blocks(3), [1, 1, 1])
  assert.deepEqual(
    blocks(200),
    Array.from({ length: 200 }, () => 1),
  )
  assert.deepEqual(blocks(500), [...Array.from({ length: 166 }, () => 3), 2])
})

test('tables that refer to each other are in one task, each behind those it refers to', async (t) => {
  const drawnReferences = fc.array(fc.array(fc.nat(29), { maxLength: 3 }), { minLength: 30, maxLength: 30 })
  const property = fc.property(
    drawnReferences,
    fc.shuffledSubarray([...Array(30).keys()], { minLength: 30 }),
    (drawn, ranks) => {
      const plain = tablesOf(
        Array.from({ length: 30 }, () => ({ heapPages: 9, moreBytes: 0, heap: true, extension: 'x' })),
      )
      // Only to tables of a lower rank, so that there is no circle.
      const rank = (index: number): number => ranks[index] ?? -1
      const all = plain.map((table, index) => ({
        ...table,
        references: (drawn[index] ?? [])
          .filter((to) => rank(to) < rank(index))
          .map((to) => String(16_384 + to)),
      }))
      const tied = planRows(all, { targetBytes: 1 }).find(({ blocks }) => blocks.length > 1)?.blocks ?? []
      const place = new Map(tied.map(({ table }, at) => [all[table]?.oid, at]))
      for (const { oid, references } of all)
        for (const to of references) assert.ok((place.get(to) ?? NaN) < (place.get(oid) ?? NaN))
      assert.deepEqual(circularReferences(all), [])
    },
  )
  await holds(t, property, 100)
})

test('a circle of references is told, and its tables are still read', () => {
  const circle = tablesOf(
    Array.from({ length: 3 }, () => ({ heapPages: 1, moreBytes: 0, heap: true, extension: 'x' })),
  ).map((table, index) => ({ ...table, references: index === 2 ? [] : [String(16_384 + (1 - index))] }))
  assert.deepEqual(circularReferences(circle), [
    "the foreign keys of an extension's tables go round in a circle: public.t0, public.t1 may not load",
  ])
  assert.equal(blocksOf(planRows(circle, { targetBytes: 1e9 })).length, 3)
})

test('without tables there is nothing to do', () => {
  assert.deepEqual(planRows([], { targetBytes: 1 }), [])
})

test('small tables share batches in their order', () => {
  const small = tablesOf(
    Array.from({ length: 1001 }, () => ({ heapPages: 0, moreBytes: 0, heap: true, extension: null })),
  )
  const tasks = planRows(small, { targetBytes: 1 })
  assert.deepEqual(
    tasks.map(({ blocks }) => blocks.length).sort((a, b) => b - a),
    [500, 500, 1],
  )
})
