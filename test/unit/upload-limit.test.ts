import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseRate } from '../../src/model/rate.ts'
import { UploadLimit, type Clock } from '../../src/storage/upload-limit.ts'
import { holds } from '../support/property.ts'

/** Time that passes only where somebody waits for it, or sends something. */
function stoppedClock(): Clock & { pass: (ms: number) => void } {
  let nowMs = 1000
  return {
    nowMs: () => nowMs,
    wait: async (ms) => void (nowMs += ms),
    pass: (ms) => void (nowMs += ms),
  }
}

test('from any moment on, no more is sent than the rate allows and the last piece', async (t) => {
  const pieces = fc.array(
    fc.record({
      sizeBytes: fc.integer({ min: 1, max: 10_000_000 }),
      idleMs: fc.integer({ min: 0, max: 5000 }),
    }),
    {
      minLength: 1,
      maxLength: 30,
    },
  )
  const rates = fc.integer({ min: 1000, max: 100_000_000 })
  const keepsTheRate = fc.asyncProperty(pieces, rates, async (all, bytesPerSecond) => {
    const clock = stoppedClock()
    const limit = new UploadLimit(bytesPerSecond, clock)
    const sent: { atMs: number; sizeBytes: number }[] = []
    for (const { sizeBytes, idleMs } of all) {
      clock.pass(idleMs)
      await limit.turn(sizeBytes, undefined)
      sent.push({ atMs: clock.nowMs(), sizeBytes })
    }
    for (const [from, first] of sent.entries()) {
      let sizeBytes = 0
      for (const piece of sent.slice(from)) {
        const allowed = ((piece.atMs - first.atMs) / 1000) * bytesPerSecond
        assert.ok(sizeBytes <= allowed * 1.000_001 + 1, `${sizeBytes} bytes where ${allowed} are allowed`)
        sizeBytes += piece.sizeBytes
      }
    }
  })
  await holds(t, keepsTheRate, 300)
})

test('a line that was idle owes nothing: the next piece goes at once', async () => {
  const clock = stoppedClock()
  const limit = new UploadLimit(1000, clock)
  await limit.turn(500, undefined)
  clock.pass(10_000)
  const before = clock.nowMs()
  await limit.turn(500, undefined)
  assert.equal(clock.nowMs(), before)
})

test('whoever waits for their turn can be interrupted', async () => {
  const limit = new UploadLimit(1)
  await limit.turn(1_000_000, undefined)
  await assert.rejects(limit.turn(1, AbortSignal.timeout(20)), { code: 'ERR_INTERRUPTED' })
})

test('rates are read as they are written', () => {
  assert.deepEqual(
    ['500kB/s', '50MB/s', '1.5 MiB/s', '1GB/s'].map(parseRate),
    [500_000, 50_000_000, 1_572_864, 1_000_000_000],
  )
  assert.deepEqual(
    ['0MB/s', '50', '50Mb/s', '-1MB/s', '50MB', '0.0001kB/s'].map(parseRate),
    Array(6).fill(undefined),
  )
})
