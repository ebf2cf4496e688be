/**
 * RowDigest against its definition, written out a second time (row-digest-reference.ts): a plain BigInt XXH64, itself
 * held against published vectors. What is judged is every way in which chunk borders, row widths and row order can go wrong.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import {
  addRowDigests,
  emptyRowDigest,
  type RowDigest,
  RowDigester,
  rowDigestPattern,
} from '../../src/model/row-digest.ts'
import { referenceDigest, xxh64 } from '../support/row-digest-reference.ts'

/** COPY text of these rows. */
function stream(rows: readonly Uint8Array[]): Buffer {
  return Buffer.concat(rows.flatMap((row) => [row, Buffer.from('\n')]))
}

/** Feeds the bytes in chunks of these sizes, over and over; each at another place of the buffer. */
function feed(digester: RowDigester, bytes: Uint8Array, chunkSizes: readonly number[]): void {
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = Math.min(chunkSizes[turn % chunkSizes.length]!, bytes.length - at, digester.buffer.length)
    const offset = (turn * 7) % (digester.buffer.length - size + 1)
    digester.buffer.set(bytes.subarray(at, at + size), offset)
    digester.scan(offset, size)
    at += size
  }
}

function digestOf(rows: readonly Uint8Array[], chunkSizes: readonly number[] = [4096]): RowDigest {
  const digester = new RowDigester({ capacityBytes: 4096 })
  feed(digester, stream(rows), chunkSizes)
  return digester.finish()
}

/** `length` bytes without a newline, other ones for another seed. */
function rowOf(length: number, seed = 1): Buffer {
  let state = seed
  const row = Buffer.alloc(length)
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    row[at] = 11 + ((state >>> 16) % 245)
  }
  return row
}

const rowWidth = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 41, max: 200 }),
  fc.constantFrom(0, 31, 32, 33, 63, 64, 65),
)
const anyRow = rowWidth.chain((length) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((row) => row.map((byte) => (byte === 10 ? 11 : byte))),
)
const anyRows = fc.array(anyRow, { maxLength: 20 })
const someRows = fc.array(anyRow, { minLength: 1, maxLength: 20 })
const anyChunkSizes = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 6, max: 100 }),
    fc.constantFrom(31, 32, 33, 64, 1000),
  ),
  { minLength: 1, maxLength: 8 },
)

/** Checks a property, with a seed that is printed so that a failure can be had again. */
function holds<T>(t: TestContext, property: fc.IProperty<T>, numRuns: number): void {
  const seed = Date.now() | 0
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  fc.assert(property, { seed, numRuns, verbose: fc.VerbosityLevel.Verbose })
}

test('the reference agrees with published XXH64 values', () => {
  // The empty text and the short ones are in every implementation's own tests, the long one in python-xxhash's manual.
  const vectors: readonly (readonly [string, bigint])[] = [
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
  ]
  for (const [text, expected] of vectors) assert.equal(xxh64(Buffer.from(text), 0n), expected, text)
})

test('the digest of known rows is the one that format 1 wrote down for ever', () => {
  const rows = ['', 'a', 'abc', '1\t2026-11-23\t\\N\tNobody inspects the spammish repetition'].map((row) =>
    Buffer.from(row),
  )
  assert.deepEqual(digestOf([Buffer.from('abc')]), { rows: 1, digest: 'bfd5e87bc0980d5344bc2cf5ad770999' })
  assert.deepEqual(digestOf(rows), { rows: 4, digest: '767ce13ece9fba1c36b5c7c3f7409030' })
})

test('a row of any width up to 300 bytes has the reference’s digest, whole or in pieces', () => {
  for (let width = 0; width <= 300; width++) {
    const rows = [rowOf(width, width + 1)]
    const expected = referenceDigest(rows)
    assert.deepEqual(digestOf(rows), expected, `whole, ${width} bytes`)
    assert.deepEqual(digestOf(rows, [1]), expected, `byte by byte, ${width} bytes`)
    assert.deepEqual(digestOf(rows, [37, 1, 64, 5]), expected, `in pieces, ${width} bytes`)
  }
})

test('a row cut in two at any place has the same digest', () => {
  const rows = [rowOf(50, 1), rowOf(131, 2), rowOf(3, 3)]
  const bytes = stream(rows)
  const expected = referenceDigest(rows)
  for (let cut = 1; cut < bytes.length; cut++) {
    assert.deepEqual(digestOf(rows, [cut, bytes.length - cut]), expected, `cut at ${cut}`)
  }
})

test('any rows in any chunks and in any order have the reference’s digest', (t) => {
  const property = fc.property(
    anyRows,
    anyChunkSizes,
    fc.infiniteStream(fc.nat()),
    (rows, chunkSizes, keys) => {
      const expected = referenceDigest(rows)
      const shuffled = rows
        .map((row) => ({ row, key: Number(keys.next().value) }))
        .toSorted((a, b) => a.key - b.key)
        .map(({ row }) => row)
      assert.deepEqual(digestOf(rows, chunkSizes), expected)
      assert.deepEqual(digestOf(rows, [1]), expected)
      assert.deepEqual(digestOf(shuffled, chunkSizes), expected)
    },
  )
  holds(t, property, 300)
})

test('a changed byte, a lost row and a doubled row each change the digest', (t) => {
  const property = fc.property(
    someRows,
    anyChunkSizes,
    fc.nat(),
    fc.nat(),
    (rows, chunkSizes, which, where) => {
      const index = which % rows.length
      const row = rows[index]!
      const digest = digestOf(rows, chunkSizes)
      const lost = digestOf(rows.toSpliced(index, 1), chunkSizes)
      const doubled = digestOf([...rows, row], chunkSizes)
      assert.notEqual(lost.digest, digest.digest)
      assert.notEqual(doubled.digest, digest.digest)
      assert.equal(lost.rows, digest.rows - 1)
      assert.equal(doubled.rows, digest.rows + 1)
      if (row.length === 0) return
      const changed = row.with(where % row.length, row[where % row.length] === 65 ? 66 : 65)
      const altered = digestOf(rows.with(index, changed), chunkSizes)
      assert.equal(altered.rows, digest.rows)
      // Both halves see it: neither seed's sum is idle.
      assert.notEqual(altered.digest.slice(0, 16), digest.digest.slice(0, 16))
      assert.notEqual(altered.digest.slice(16), digest.digest.slice(16))
    },
  )
  holds(t, property, 200)
})

test('the digests of slices add up to the digest of the table', (t) => {
  const property = fc.property(fc.array(anyRows, { maxLength: 6 }), (slices) => {
    const sum = slices.map((slice) => digestOf(slice)).reduce(addRowDigests, emptyRowDigest)
    assert.deepEqual(sum, digestOf(slices.flat()))
  })
  holds(t, property, 100)
})

test('adding digests wraps each half by itself and refuses what is no digest', () => {
  const most: RowDigest = { rows: 2, digest: 'f'.repeat(32) }
  const one: RowDigest = { rows: 1, digest: `${'0'.repeat(15)}1${'0'.repeat(15)}1` }
  assert.deepEqual(addRowDigests(most, one), { rows: 3, digest: '0'.repeat(32) })
  assert.throws(() => addRowDigests(one, { rows: 1, digest: 'F'.repeat(32) }), { code: 'ERR_FORMAT' })
  assert.match(one.digest, rowDigestPattern)
  assert.doesNotMatch(`${one.digest}0`, rowDigestPattern)
})

test('an empty table has the empty digest, and a row of no bytes does not', () => {
  assert.deepEqual(new RowDigester().finish(), emptyRowDigest)
  const empties = [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)]
  assert.deepEqual(digestOf(empties), referenceDigest(empties))
  assert.deepEqual(digestOf(empties, [1]), referenceDigest(empties))
  assert.notEqual(digestOf(empties).digest, emptyRowDigest.digest)
})

test('a stream that stops inside a row is refused until the row has ended', () => {
  const digester = new RowDigester({ capacityBytes: 64 })
  feed(digester, Buffer.from('1\tone\n2\ttw'), [64])
  assert.throws(() => digester.finish(), { code: 'ERR_FORMAT', message: 'stream of rows stops inside row 2' })
  feed(digester, Buffer.from('o\n'), [64])
  assert.deepEqual(digester.finish(), referenceDigest([Buffer.from('1\tone'), Buffer.from('2\ttwo')]))
})

test('finish starts anew, and digesters in one thread do not touch each other', () => {
  const [first, second] = [new RowDigester({ capacityBytes: 64 }), new RowDigester({ capacityBytes: 64 })]
  feed(first, Buffer.from('one\ntwo\nthr'), [64])
  feed(second, Buffer.from('four\n'), [64])
  feed(first, Buffer.from('ee\n'), [64])
  assert.equal(first.finish().rows, 3)
  assert.deepEqual(second.finish(), referenceDigest([Buffer.from('four')]))
  feed(first, Buffer.from('four\n'), [64])
  assert.deepEqual(first.finish(), referenceDigest([Buffer.from('four')]))
})

test('a row far wider than the buffer is digested within the buffer', () => {
  const wide = rowOf(300_001)
  const rows = [rowOf(20), wide, rowOf(40)]
  const digester = new RowDigester({ capacityBytes: 4096 })
  const memoryBytes = digester.buffer.buffer.byteLength
  feed(digester, stream(rows), [4096, 1, 4095])
  assert.deepEqual(digester.finish(), referenceDigest(rows))
  assert.equal(digester.buffer.buffer.byteLength, memoryBytes)
})

test('newlines behind the scanned range are not seen, up to the last byte of the buffer', () => {
  for (const capacityBytes of [1, 63, 64, 65_535, 65_536, 65_537, 1_179_648]) {
    const digester = new RowDigester({ capacityBytes })
    assert.equal(digester.buffer.length, capacityBytes)
    digester.buffer.fill(10)
    digester.scan(0, capacityBytes)
    assert.equal(digester.finish().rows, capacityBytes)
    digester.scan(capacityBytes - 1, 1)
    assert.equal(digester.finish().rows, 1)
    digester.scan(0, 0)
    assert.deepEqual(digester.finish(), emptyRowDigest)
  }
})

test('a chunk outside the buffer and a senseless capacity are refused', () => {
  const digester = new RowDigester({ capacityBytes: 100 })
  for (const [offset, length] of [
    [0, 101],
    [100, 1],
    [-1, 1],
    [1, -1],
    [0.5, 1],
    [0, Number.NaN],
  ] as const) {
    assert.throws(() => digester.scan(offset, length), { code: 'ERR_INTERNAL' }, `${length} at ${offset}`)
  }
  for (const capacityBytes of [0, -1, 1.5, 2 ** 32]) {
    assert.throws(() => new RowDigester({ capacityBytes }), { code: 'ERR_INTERNAL' })
  }
})

test('the committed module is what its text compiles to', () => {
  const script = fileURLToPath(new URL('../../scripts/build-wasm.ts', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})
