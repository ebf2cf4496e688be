/** Leases between runs: kept out while one may still be alive, taken over only when it is certainly gone, and lost in time. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { Lease } from '../../src/repository/lease.ts'
import { thisHolder, type Holder } from '../../src/repository/holder.ts'
import { coded } from '../contract/contract-materials.ts'
import { MemoryStore } from '../contract/memory-store.ts'

const durationMs = 300_000

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const holderOf = (pid: number): Promise<Holder> => thisHolder(`process ${pid}`, pid, exists)

class Clock {
  at = Date.parse('2026-11-23T02:00:00Z')
  readonly now = (): Date => new Date(this.at)
}

async function acquire(store: MemoryStore, clock: Clock, holder: Holder): Promise<Lease> {
  return await Lease.acquire(store, { source: 'shop', holder, durationMs, now: clock.now })
}

test('one run at a time; the next gets it when it is released, or has expired', async () => {
  const [store, clock, holder] = [new MemoryStore(), new Clock(), await holderOf(process.pid)]
  const first = await acquire(store, clock, holder)
  await assert.rejects(
    acquire(store, clock, holder),
    coded('ERR_LEASE_HELD', /until 2026-11-23T02:05:00\.000Z at the latest/),
  )
  await first[Symbol.asyncDispose]()
  await acquire(store, clock, holder)
  clock.at += durationMs - 1
  await assert.rejects(acquire(store, clock, holder), coded('ERR_LEASE_HELD'))
  clock.at += 1
  await (await acquire(store, clock, holder))[Symbol.asyncDispose]()
})

test('a run that slept past its lease commits nothing once another has taken it', async () => {
  const [store, clock, holder] = [new MemoryStore(), new Clock(), await holderOf(process.pid)]
  await using sleeper = await acquire(store, clock, holder)
  await sleeper.assertHeld()
  clock.at += 2 * durationMs
  // Nobody came: it may go on.
  await sleeper.assertHeld()
  clock.at += 2 * durationMs
  await using next = await acquire(store, clock, holder)
  await assert.rejects(sleeper.assertHeld(), coded('ERR_LEASE_HELD'))
  await sleeper[Symbol.asyncDispose]()
  await next.assertHeld()
})

test('the lease of a process that has ended is taken over at once, that of a running one is not', async () => {
  const [store, clock, here] = [new MemoryStore(), new Clock(), await holderOf(process.pid)]
  const child = spawn('sleep', ['60'])
  const other = await holderOf(child.pid ?? 0)
  await acquire(store, clock, other)
  await assert.rejects(acquire(store, clock, here), coded('ERR_LEASE_HELD'))
  child.kill('SIGKILL')
  await once(child, 'close')
  await using lease = await acquire(store, clock, here)
  assert.equal(lease.killedBefore, other.name)
})

test('a process elsewhere, hidden, or unknown counts as running; the same number started anew does not', async () => {
  const here = await holderOf(process.pid)
  const own = here.process ?? assert.fail('this system does not tell about its processes')
  assert.equal(await here.isGone(own), false)
  assert.equal(await here.isGone({ ...own, startedAt: `${own.startedAt}1` }), true)
  assert.equal(await here.isGone({ ...own, pid: 4_194_305 }), true)
  assert.equal(await here.isGone({ ...own, pid: 4_194_305, place: '0'.repeat(32) }), false)
  const hidden = await thisHolder('hidden', process.pid, () => true)
  assert.equal(await hidden.isGone({ ...own, pid: 4_194_305 }), false)
  const [store, clock] = [new MemoryStore(), new Clock()]
  await acquire(store, clock, { name: 'somewhere', process: undefined, isGone: async () => false })
  await assert.rejects(acquire(store, clock, here), coded('ERR_LEASE_HELD', /somewhere is at work/))
})
