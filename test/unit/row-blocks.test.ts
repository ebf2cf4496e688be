/** The inside of a rows artifact: read by length and by header, in any pieces, and with no end marker in the data. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { blockFooter, blockHeader, EndMarkerGuard, RowBlockReader } from '../../src/pipeline/row-blocks.ts'
import { rowsPreamble, type TableRows } from '../../src/postgres/row-statements.ts'
import { chunked, coded, collect } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'

interface Block {
  readonly table: TableRows
  readonly data: Buffer
}

const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0'))
const table: fc.Arbitrary<TableRows> = fc.record({
  schema: name,
  name,
  columns: fc.array(name, { maxLength: 3 }),
  condition: fc.constant(''),
  partitioned: fc.boolean(),
  encoding: fc.constantFrom('UTF8', 'LATIN1', 'SQL_ASCII'),
})
/** Lines as COPY writes them: none begins with `\.`, but many with something like it. */
const line = fc
  .array(fc.constantFrom('\\\\.', '\\\\', '.', '\\N', '\\n', '\t', 'a', 'COPY', ';', 'é'), { maxLength: 8 })
  .map((parts) => `${parts.join('')}\n`)
const data = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join('')))
const blocks = fc.array(fc.record<Block>({ table, data }), { maxLength: 5 })
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 })
const trailer = fc.constantFrom(
  '',
  'SELECT pg_catalog.setval(\'"a"."b"\', 1, true);\n',
  '\\! not run by anybody\n',
)

function artifactOf(all: readonly Block[], end = ''): Buffer {
  const parts = all.flatMap(({ table, data }) => [blockHeader(table), data, blockFooter])
  return Buffer.concat([Buffer.from(rowsPreamble), ...parts, Buffer.from(end)])
}

async function read(bytes: Buffer, all: readonly Block[], by: readonly number[]): Promise<Buffer[]> {
  const reader = new RowBlockReader(chunked(bytes, by))
  await reader.skipPreamble()
  const found: Buffer[] = []
  for (const { table, data } of all) found.push(await collect(reader.block(table, data.length)))
  await reader.drain()
  return found
}

test('every block comes out as it went in, in any pieces', async (t) => {
  const property = fc.asyncProperty(blocks, trailer, sizes, async (all, end, by) => {
    const found = await read(artifactOf(all, end), all, by)
    assert.deepEqual(
      found,
      all.map(({ data }) => data),
    )
  })
  await holds(t, property, 300)
})

test('an artifact that ends early, anywhere before its last block has ended, is refused', async (t) => {
  const property = fc.asyncProperty(blocks, fc.nat(), sizes, async (all, at, by) => {
    const whole = artifactOf(all)
    const cut = whole.subarray(0, at % whole.length)
    await assert.rejects(read(cut, all, by), coded('ERR_FORMAT', /an early end|no preamble/))
  })
  await holds(t, property, 300)
})

test('a block that is longer or shorter than the inventory says is refused', async (t) => {
  const property = fc.asyncProperty(
    table,
    data,
    fc.integer({ min: -9, max: 9 }),
    sizes,
    async (table, data, off, by) => {
      fc.pre(off !== 0 && data.length + off >= 0)
      // Two backslashes, a dot and an empty line look like the end of a block once the first backslash is taken off.
      fc.pre(
        !data
          .subarray(data.length + off)
          .subarray(0, blockFooter.length)
          .equals(blockFooter),
      )
      const told = { table, data: Buffer.alloc(data.length + off) }
      await assert.rejects(read(artifactOf([{ table, data }]), [told], by), coded('ERR_FORMAT'))
    },
  )
  await holds(t, property, 300)
})

test('a block of another table, or of other columns, is refused before any row of it', async (t) => {
  const property = fc.asyncProperty(table, table, data, sizes, async (table, other, data, by) => {
    fc.pre(!blockHeader(table).equals(blockHeader(other)))
    const reader = new RowBlockReader(chunked(artifactOf([{ table, data }]), by))
    await reader.skipPreamble()
    await assert.rejects(
      reader.block(other, data.length).next(),
      coded('ERR_FORMAT', /the header of|an early end/),
    )
  })
  await holds(t, property, 200)
})

test('a preamble that has no end is not read for ever', async () => {
  let taken = 0
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      taken += 1
      yield Buffer.alloc(10_000, 'x\n-')
    }
  }
  await assert.rejects(
    new RowBlockReader(endless()).skipPreamble(),
    coded('ERR_FORMAT', /preamble without end/),
  )
  assert.ok(taken < 10)
})

/** The guard's whole rule, on the whole. */
const holdsMarker = (bytes: Buffer): boolean =>
  bytes.subarray(0, 2).toString() === '\\.' || bytes.includes('\n\\.')

const nearly = fc
  .array(fc.constantFrom('\n', '\\', '.', '\\.', '\n\\', '\n\\.', 'a'), { maxLength: 12 })
  .map((parts) => Buffer.from(parts.join('')))

async function guarded(bytes: Buffer, by: readonly number[]): Promise<boolean> {
  const guard = new EndMarkerGuard()
  try {
    for await (const part of chunked(bytes, by)) {
      guard.check(part)
      guard.check(Buffer.alloc(0))
    }
    return false
  } catch (error) {
    return coded('ERR_FORMAT', /end-of-data marker/)(error)
  }
}

test('the guard finds a marker at the start of a line wherever the pieces meet, and nowhere else', async (t) => {
  const few = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
  const property = fc.asyncProperty(nearly, few, async (bytes, by) => {
    assert.equal(await guarded(bytes, by), holdsMarker(bytes))
  })
  await holds(t, property, 2000)
})

test('the guard finds every marker at every cut of a short text', async () => {
  for (const text of [
    '\\.',
    '\\.\n',
    'a\n\\.',
    'a\n\\.b\n',
    '\n\n\\.\n',
    'a\\.\n',
    'a\n\\\\.\n',
    '\\\n.\n',
  ]) {
    const bytes = Buffer.from(text)
    for (let first = 1; first <= bytes.length; first += 1) {
      for (let second = 1; second <= bytes.length; second += 1) {
        assert.equal(
          await guarded(bytes, [first, second]),
          holdsMarker(bytes),
          `${text} cut at ${first}, ${second}`,
        )
      }
    }
  }
})

test('a block with a marker in its data is refused, and the marker never comes out', async (t) => {
  const property = fc.asyncProperty(table, data, data, sizes, async (table, before, after, by) => {
    const data = Buffer.concat([before, Buffer.from('\\.\n\\! touch /tmp/x\n'), after])
    const reader = new RowBlockReader(chunked(artifactOf([{ table, data }]), by))
    await reader.skipPreamble()
    const out: Buffer[] = []
    await assert.rejects(
      async () => {
        for await (const part of reader.block(table, data.length)) out.push(part)
      },
      coded('ERR_FORMAT', /end-of-data marker/),
    )
    assert.ok(!holdsMarker(Buffer.concat(out)))
  })
  await holds(t, property, 200)
})
