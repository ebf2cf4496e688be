/**
 * Lanes that are left, interrupted, fail or die: whoever waits for them gets the reason, the other lanes stop, and
 * neither a thread nor a psql stays behind.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CoffreError } from '../../src/errors.ts'
import { Lanes } from '../../src/pipeline/lanes.ts'
import { coded } from '../contract/contract-materials.ts'
import { LaneBench, type Run } from '../support/lane-bench.ts'
import { eventually } from '../support/patience.ts'

let bench: LaneBench
before(async () => {
  bench = await LaneBench.make()
})
after(() => bench[Symbol.asyncDispose]())

const failing = 'COPY (SELECT 1 / 0) TO STDOUT'
const asleep = 'COPY (SELECT pg_catalog.pg_sleep(60)) TO STDOUT'
const one = 'COPY (SELECT 1) TO STDOUT'

const digest = (run: Run, statement: string): Promise<unknown> => run(bench.digest(statement), {}).result
const working = (): Promise<unknown> => eventually('a child is at work', () => bench.children().length > 0)

/** Takes one piece and goes. */
async function leave(output: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of output) {
    assert.ok(piece.length > 0)
    break
  }
}

test('leaving the output early ends psql, and the lane can be used again', async () => {
  await bench.withLanes(1, [
    async (run) => {
      const { output, result } = run(bench.sealRows(), {})
      await leave(output)
      await assert.rejects(result, coded('ERR_INTERRUPTED'))
      await eventually('psql has ended', () => bench.children().length === 0)
      assert.deepEqual(await digest(run, one), [{ rows: 1, digest: '8f2f0c70cacca0dcb7b41276360564d4' }])
    },
  ])
})

test('a task that was left, and not waited for, does not disturb the next one of its lane', async () => {
  await bench.withLanes(1, [
    async (run) => leave(run(bench.sealRows(), {}).output),
    async (run) => {
      const { output, result } = run(bench.sealRows(), {})
      let bytes = 0
      for await (const piece of output) bytes += piece.length
      assert.equal((await result).facts.bytes, bytes)
    },
    async (run) => void (await digest(run, one)),
  ])
})

test('the first failure is the one thrown, cancels what is under way and lets nothing new begin', async () => {
  const begun: string[] = []
  let other: Promise<unknown> | undefined
  const running = bench.withLanes(2, [
    async (run) => {
      begun.push('asleep')
      other = digest(run, asleep)
      await other
    },
    async (run) => {
      begun.push('failing')
      await working()
      await digest(run, failing)
    },
    async () => void begun.push('never'),
  ])
  await assert.rejects(running, coded('ERR_POSTGRES', /division by zero/))
  assert.deepEqual(begun, ['asleep', 'failing'])
  await assert.rejects(other ?? Promise.resolve(), coded('ERR_INTERRUPTED'))
})

test('a job that fails by itself is thrown as it is', async () => {
  const full = new CoffreError('ERR_STORE_FULL', 'no room')
  const running = bench.withLanes(2, [
    async (run) => void (await digest(run, asleep)),
    async (run) => {
      for await (const piece of run(bench.sealRows(), {}).output) {
        assert.ok(piece.length > 0)
        throw full
      }
    },
  ])
  await assert.rejects(running, (error) => error === full)
})

test('an interruption ends every lane, also in the midst of its second task', async () => {
  const abort = new AbortController()
  const reason = new CoffreError('ERR_INTERRUPTED', 'interrupted')
  const outcomes: Promise<unknown>[] = []
  const running = bench.withLanes(
    2,
    [0, 1].map(() => async (run: Run) => {
      await digest(run, one)
      const sleeping = digest(run, asleep)
      outcomes.push(sleeping)
      if (outcomes.length === 2) abort.abort(reason)
      await sleeping
    }),
    abort.signal,
  )
  await assert.rejects(running, coded('ERR_INTERRUPTED'))
  assert.equal(outcomes.length, 2)
  for (const outcome of outcomes) await assert.rejects(outcome, coded('ERR_INTERRUPTED'))
})

test('what was interrupted before it began starts nothing', async () => {
  const reason = new CoffreError('ERR_INTERRUPTED', 'interrupted')
  const running = bench.withLanes(1, [() => assert.fail('begun')], AbortSignal.abort(reason))
  await assert.rejects(running, (error) => error === reason)
})

test('a thread that dies fails its task and every later one, and its psql ends', async () => {
  const running = bench.withLanes(1, [
    async (run) => {
      const { output, result } = run(bench.sealRows(), {})
      const taking = (async () => {
        for await (const piece of output) {
          assert.ok(piece.length > 0)
          for (const thread of bench.threads) await thread.terminate()
        }
      })()
      const died = coded('ERR_INTERNAL', /a lane ended unexpectedly/)
      await assert.rejects(taking, died)
      await assert.rejects(result, died)
      await eventually('psql has ended', () => bench.children().length === 0)
      await digest(run, one)
    },
  ])
  await assert.rejects(running, coded('ERR_INTERNAL', /a lane ended unexpectedly/))
})

test('lanes that did nothing, or have done everything, end at once', async () => {
  await bench.withLanes(3, [])
  const before = performance.now()
  await bench.withLanes(
    2,
    Array.from({ length: 6 }, () => async (run: Run) => void (await digest(run, one))),
  )
  assert.ok(performance.now() - before < 5000, 'no lane had to be ended by force')
})

test('lanes that are let go in the midst of a task end too, and tell', async () => {
  let result: Promise<unknown> | undefined
  {
    await using lanes = new Lanes(1, new AbortController().signal)
    void lanes
      .each([0], async (run) => {
        result = digest(run, asleep)
        await result
      })
      .catch(() => undefined)
    await working()
  }
  assert.equal(bench.threads.size, 0)
  await assert.rejects(result ?? Promise.resolve(), CoffreError)
  await eventually('psql has ended', () => bench.children().length === 0)
})
