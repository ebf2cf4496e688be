/**
 * decompress, given streams that other writers could have made (docs/format.md, section 6: "readers MUST accept any cut"):
 * frames of all sizes, cut anywhere.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { decompress } from '../../src/pipeline/compression.ts'
import { bytesOf, chunked, coded, collect } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'

type Algorithm = 'zstd' | 'gzip'

/** Half noise, half repetition: what compresses well fills the decompressor's output before its input is used up. */
function plainOf(size: number, seed: number): Buffer {
  return Buffer.concat([bytesOf(size >> 1, seed), Buffer.alloc(size - (size >> 1), `row ${seed}\n`)])
}

const frameOf: Record<Algorithm, (plain: Buffer, checksum: boolean) => Buffer> = {
  gzip: (plain) => gzipSync(plain, { level: 1 }),
  zstd: (plain, checksum) =>
    zstdCompressSync(plain, { params: { [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0 } }),
}
/** RFC 8878, 3.1.2. */
const skippable = (bytes: Buffer): Buffer => {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x184d2a57, 0)
  header.writeUInt32LE(bytes.length, 4)
  return Buffer.concat([header, bytes])
}

const frame = fc.record({
  size: fc.oneof(fc.nat(300), fc.nat(300_000), fc.constantFrom(0, 1, 16_384, 65_536, 1_048_576)),
  seed: fc.nat(1000),
  checksum: fc.boolean(),
  skipped: fc.boolean(),
})
const frames = fc.array(frame, { minLength: 1, maxLength: 6 })
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 200_000 })), {
  minLength: 1,
  maxLength: 5,
})

for (const algorithm of ['zstd', 'gzip'] as const) {
  test(`any ${algorithm} frames one after another come back, cut anywhere`, async (t) => {
    const property = fc.asyncProperty(frames, cuts, async (all, by) => {
      const plain = all.map(({ size, seed }) => plainOf(size, seed))
      const stored = all.flatMap(({ checksum, skipped, seed }, index) => [
        ...(skipped && algorithm === 'zstd' ? [skippable(bytesOf(seed, 1))] : []),
        frameOf[algorithm](plain[index] ?? Buffer.alloc(0), checksum),
      ])
      const small = Buffer.concat(stored).length < 20_000
      const back = await collect(
        decompress(chunked(Buffer.concat(stored), small ? by : [...by, 65_536]), algorithm),
      )
      assert.ok(back.equals(Buffer.concat(plain)))
    })
    await holds(t, property, 100)
  })

  test(`a ${algorithm} stream cut off anywhere but between frames is damaged`, async (t) => {
    const whole = frameOf[algorithm](plainOf(3000, 5), true)
    const property = fc.asyncProperty(fc.integer({ min: 1, max: whole.length - 1 }), cuts, async (at, by) => {
      const bytes = Buffer.concat([whole, whole.subarray(0, at)])
      await assert.rejects(
        collect(decompress(chunked(bytes, by), algorithm)),
        coded('ERR_FORMAT', /stream is damaged or ends early$/),
      )
    })
    await holds(t, property, 60)
  })

  test(`no ${algorithm} stream at all is damaged too`, async () => {
    await assert.rejects(collect(decompress(chunked(Buffer.alloc(0), [1]), algorithm)), coded('ERR_FORMAT'))
  })
}

test('noise between or behind zstd frames is damage, told as such in the middle of a delegating source', async () => {
  const good = frameOf.zstd(plainOf(200_000, 1), true)
  const spoiled = Buffer.from(good)
  spoiled.fill(0xa5, 1000, 2000)
  // "The iterator does not provide a 'throw' method" is what this said once: the decompressor's error went into the source.
  async function* source(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
    await Promise.resolve()
    yield* pieces
  }
  for (const pieces of [
    [good, randomBytes(50)],
    [good, Buffer.alloc(50), good],
    [spoiled, good],
    [good, spoiled, good],
  ]) {
    await assert.rejects(collect(decompress(source(pieces), 'zstd')), coded('ERR_FORMAT', /zstd stream/))
  }
})
