/**
 * RowDigest from its definition (docs/format.md), written out a second time and slowly: a plain BigInt XXH64, summed over
 * the rows. Shares no code with src/model/row-digest.ts, which is held against it.
 */

const mod64 = (value: bigint): bigint => BigInt.asUintN(64, value)
const rotate = (value: bigint, bits: bigint): bigint => mod64((value << bits) | (value >> (64n - bits)))

const p1 = 0x9e3779b185ebca87n
const p2 = 0xc2b2ae3d27d4eb4fn
const p3 = 0x165667b19e3779f9n
const p4 = 0x85ebca77c2b2ae63n
const p5 = 0x27d4eb2f165667c5n

/** XXH64, step by step as its specification tells it. */
export function xxh64(bytes: Buffer, seed: bigint): bigint {
  const round = (accumulator: bigint, lane: bigint): bigint =>
    mod64(rotate(mod64(accumulator + lane * p2), 31n) * p1)
  let at = 0
  let hash = mod64(seed + p5)
  if (bytes.length >= 32) {
    const accumulators = [seed + p1 + p2, seed + p2, seed, seed - p1].map(mod64)
    for (; at + 32 <= bytes.length; at += 32) {
      for (const [lane, value] of accumulators.entries()) {
        accumulators[lane] = round(value, bytes.readBigUInt64LE(at + 8 * lane))
      }
    }
    const shifts = [1n, 7n, 12n, 18n]
    hash = mod64(accumulators.reduce((sum, value, lane) => sum + rotate(value, shifts[lane]!), 0n))
    for (const value of accumulators) hash = mod64((hash ^ round(0n, value)) * p1 + p4)
  }
  hash = mod64(hash + BigInt(bytes.length))
  for (; at + 8 <= bytes.length; at += 8) {
    hash = mod64(rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * p1 + p4)
  }
  for (; at + 4 <= bytes.length; at += 4) {
    hash = mod64(rotate(hash ^ mod64(BigInt(bytes.readUInt32LE(at)) * p1), 23n) * p2 + p3)
  }
  for (; at < bytes.length; at++) {
    hash = mod64(rotate(hash ^ mod64(BigInt(bytes.readUInt8(at)) * p5), 11n) * p1)
  }
  hash = mod64((hash ^ (hash >> 33n)) * p2)
  hash = mod64((hash ^ (hash >> 29n)) * p3)
  return hash ^ (hash >> 32n)
}

/** The seed of the digest's first half: "coffre" in ASCII. */
export const highSeed = BigInt(`0x${Buffer.from('coffre', 'latin1').toString('hex')}`)

/** `rows`: lines of COPY text without their newline. */
export function referenceDigest(rows: readonly Uint8Array[]): {
  readonly rows: number
  readonly digest: string
} {
  const sum = (seed: bigint): string =>
    mod64(rows.reduce((total, row) => total + xxh64(Buffer.from(row), seed), 0n))
      .toString(16)
      .padStart(16, '0')
  return { rows: rows.length, digest: sum(highSeed) + sum(0n) }
}
