/** How a stream is cut into parts: enough of them for any object, none of them too large, no byte lost. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { providerProfiles } from '../../src/storage/provider-profiles.ts'
import { cutIntoParts, partSize } from '../../src/storage/s3-parts.ts'

const mebibyte = 1024 * 1024
const gibibyte = 1024 * mebibyte

function largestObject(firstBytes: number, profile: { maxParts: number; uniformParts: boolean }): number {
  let sizeBytes = 0
  for (let number = 1; number <= profile.maxParts; number += 1)
    sizeBytes += partSize(number, firstBytes, profile)
  return sizeBytes
}

describe('part sizes', () => {
  it('reach 5 TiB in 10,000 parts, from the smallest first part that S3 allows on', () => {
    for (const first of [5, 8, 16, 64, 1024]) {
      assert.ok(largestObject(first * mebibyte, providerProfiles.aws) >= 5 * 1024 * gibibyte, `${first} MiB`)
    }
  })

  it('never shrink, and stay within 5 MiB to 5 GiB', () => {
    for (const profile of Object.values(providerProfiles)) {
      let last = 5 * mebibyte
      for (let number = 1; number <= profile.maxParts; number += 1) {
        const size = partSize(number, profile.partSizeBytes, profile)
        assert.ok(
          Number.isInteger(size) && size >= last && size <= 5 * gibibyte,
          `${profile.name} ${number}: ${size}`,
        )
        last = size
      }
    }
  })

  it('stay at or under 128 MiB up to 100 GiB', () => {
    let sizeBytes = 0
    for (let number = 1; sizeBytes < 100 * gibibyte; number += 1) {
      const size = partSize(number, 8 * mebibyte, providerProfiles.aws)
      assert.ok(size <= 128 * mebibyte)
      sizeBytes += size
    }
  })

  it('are all the same where the provider wants that', () => {
    assert.equal(partSize(10_000, 32 * mebibyte, providerProfiles.r2), 32 * mebibyte)
    assert.ok(largestObject(32 * mebibyte, providerProfiles.r2) >= 312 * gibibyte)
  })

  it('reach 2 TiB where there are only a thousand parts', () => {
    assert.ok(
      largestObject(providerProfiles.scaleway.partSizeBytes, providerProfiles.scaleway) > 2048 * gibibyte,
    )
  })
})

describe('cutting', () => {
  it('gives full parts, a shorter last one, and every byte in its place', async (t) => {
    const seed = Date.now() % 2 ** 31
    const numRuns = 300
    t.diagnostic(`seed ${seed}, cases ${numRuns}`)
    const chunks = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })
    const property = fc.asyncProperty(chunks, fc.integer({ min: 1, max: 200 }), async (arrays, first) => {
      const sizeOf = (number: number): number => first + number * 3
      const whole = Buffer.concat(arrays)
      const source = (async function* () {
        for (const array of arrays) yield Buffer.from(array)
      })()
      const parts: Buffer[] = []
      for await (const part of cutIntoParts(source, sizeOf)) parts.push(Buffer.from(part))
      assert.ok(Buffer.concat(parts).equals(whole))
      assert.ok(parts.length >= 1)
      for (const [index, part] of parts.entries()) {
        const full = sizeOf(index + 1)
        if (index < parts.length - 1) assert.equal(part.length, full)
        else assert.ok(part.length <= full && (part.length > 0 || whole.length === 0))
      }
    })
    await fc.assert(property, { numRuns, seed, verbose: fc.VerbosityLevel.Verbose })
  })
})
