/** The lease over a store: of many at once one wins, and it is free again when released or expired, on every kind of store. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CoffreError } from '../../src/errors.ts'
import { encodeJson } from '../../src/model/canonical-json.ts'
import type { Holder } from '../../src/repository/holder.ts'
import { Lease } from '../../src/repository/lease.ts'
import { DirectoryStore } from '../../src/storage/directory.ts'
import type { ObjectStore } from '../../src/storage/object-store.ts'
import { eventually } from '../support/patience.ts'
import { coded, keysOf } from './contract-materials.ts'
import { MemoryStore } from './memory-store.ts'

/** Someone elsewhere, of whom nothing is known. */
const holder = (name: string): Holder => ({ name, process: undefined, isGone: async () => false })

class Clock {
  at = Date.parse('2026-11-23T02:00:00Z')
  readonly now = (): Date => new Date(this.at)
}

interface Acquiring {
  readonly name?: string
  readonly source?: string
  readonly durationMs?: number
  readonly clock?: Clock
}

const acquire = (
  store: ObjectStore,
  { name = 'one', source = 'shop', durationMs = 60_000, clock = new Clock() }: Acquiring = {},
): Promise<Lease> => Lease.acquire(store, { source, holder: holder(name), durationMs, now: clock.now })

async function allOf<T>(promises: readonly Promise<T>[]): Promise<{ won: T[]; lost: unknown[] }> {
  const settled = await Promise.allSettled(promises)
  return {
    won: settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    lost: settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])),
  }
}

const stores: Readonly<Record<string, (t: TestContext) => Promise<ObjectStore>>> = {
  memory: async () => new MemoryStore(),
  'a directory': async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'coffre-lease-'))
    t.after(() => rm(root, { recursive: true }))
    return new DirectoryStore({ root })
  },
}

for (const [kind, open] of Object.entries(stores)) {
  describe(`a lease in ${kind}`, () => {
    test('of eight at once exactly one wins, and again when it is free', async (t) => {
      const store = await open(t)
      for (let round = 1; round <= 5; round += 1) {
        const { won, lost } = await allOf(
          Array.from({ length: 8 }, (_, n) => acquire(store, { name: `run ${n}` })),
        )
        assert.equal(won.length, 1, `round ${round}`)
        assert.ok(lost.every(coded('ERR_LEASE_HELD')))
        await won[0]?.[Symbol.asyncDispose]()
      }
    })

    test('says who holds it and until when, and frees at that moment', async (t) => {
      const [store, clock] = [await open(t), new Clock()]
      const first = await acquire(store, { name: 'coffre on db1', clock })
      clock.at += 59_999
      await assert.rejects(
        acquire(store, { clock }),
        coded('ERR_LEASE_HELD', /^coffre on db1 is at work on shop until 2026-11-23T02:01:00\.000Z/),
      )
      clock.at += 1
      const second = await acquire(store, { name: 'two', clock })
      await assert.rejects(first.assertHeld(), coded('ERR_LEASE_HELD', /no longer this one's/))
      await second.assertHeld()
      await first[Symbol.asyncDispose]()
      await second.assertHeld()
      await second[Symbol.asyncDispose]()
    })

    test('is released when its run ends, at once', async (t) => {
      const [store, clock] = [await open(t), new Clock()]
      for (let n = 1; n <= 3; n += 1) {
        await using lease = await acquire(store, { name: `run ${n}`, clock })
        await lease.assertHeld()
      }
      assert.equal((await keysOf(store)).length, 9)
    })

    test('is one for each source', async (t) => {
      const store = await open(t)
      await using shop = await acquire(store, { source: 'shop' })
      await using blog = await acquire(store, { source: 'blog' })
      await shop.assertHeld()
      await blog.assertHeld()
      await assert.rejects(acquire(store, { source: 'blog' }), coded('ERR_LEASE_HELD'))
    })

    test('is kept by renewal, long past its first expiry, as long as its run goes on', async (t) => {
      const [store, clock] = [await open(t), new Clock()]
      const lease = await acquire(store, { durationMs: 300, clock })
      for (let renewals = 1; renewals <= 4; renewals += 1) {
        clock.at += 250
        const before = (await keysOf(store)).length
        await eventually('the lease is renewed', async () => (await keysOf(store)).length > before)
        await assert.rejects(acquire(store, { clock }), coded('ERR_LEASE_HELD'))
      }
      await lease[Symbol.asyncDispose]()
      await using next = await acquire(store, { clock })
      const { length } = await keysOf(store)
      await sleep(250)
      assert.equal((await keysOf(store)).length, length, 'nothing is renewed after the release')
      await next.assertHeld()
    })

    test('what is no lease in its place is ERR_FORMAT, never free', async (t) => {
      const lease = {
        type: 'coffre-lease',
        holder: 'x',
        process: null,
        acquiredAt: '2026-11-23T02:00:00Z',
        expiresAt: '2026-11-23T02:00:00Z',
      }
      const garbage = [
        Buffer.alloc(0),
        Buffer.from('free'),
        encodeJson(null),
        encodeJson({ ...lease, type: 'coffre-manifest' }),
        encodeJson({ ...lease, expiresAt: 'never' }),
        encodeJson({ ...lease, expiresAt: undefined }),
        encodeJson({ ...lease, process: { pid: 1 } }),
        encodeJson({ ...lease, more: 1 }),
        Buffer.from(JSON.stringify(lease)),
        Buffer.alloc(100_000, ' '),
      ]
      for (const [n, bytes] of garbage.entries()) {
        const store = await open(t)
        await store.create('leases/shop/00000007.json', bytes)
        await assert.rejects(acquire(store), coded('ERR_FORMAT', /00000007\.json/), String(n))
        assert.equal((await keysOf(store)).length, 1)
      }
    })

    test('other objects beside the leases do not matter, nor how many digits a number has', async (t) => {
      const store = await open(t)
      for (const key of ['zzz.json', '1.json', '00000009.json.bak', '99999999x.json']) {
        await store.create(`leases/shop/${key}`, Buffer.from('x'))
      }
      const first = await acquire(store)
      await assert.rejects(acquire(store), coded('ERR_LEASE_HELD', /at work on shop/))
      await first[Symbol.asyncDispose]()
      const free = {
        type: 'coffre-lease',
        holder: 'x',
        process: null,
        acquiredAt: '2026-11-23T02:00:00Z',
        expiresAt: '2026-11-23T02:00:00Z',
      }
      await store.create('leases/shop/99999999.json', encodeJson(free))
      await using second = await acquire(store)
      await second.assertHeld()
      assert.ok((await keysOf(store)).includes('leases/shop/100000000.json'))
      await assert.rejects(acquire(store), coded('ERR_LEASE_HELD', /at work on shop/))
    })
  })
}

/** A store that can be cut off, or made to wait, whenever something is created. */
class CutStore extends MemoryStore {
  failing = false
  waits: Promise<void> = Promise.resolve()

  override async create(key: string, bytes: Buffer): Promise<void> {
    await this.waits
    if (this.failing) throw new CoffreError('ERR_STORE', 'the network is gone')
    await super.create(key, bytes)
  }
}

test('a lease that could not be renewed is not claimed to be held', async () => {
  const store = new CutStore()
  const lease = await acquire(store)
  store.failing = true
  await assert.rejects(lease.assertHeld(), coded('ERR_STORE', /network/))
  store.failing = false
  await lease.assertHeld()
  await lease[Symbol.asyncDispose]()
})

test('a renewal that fails is tried again, and a release that fails leaves the lease to expire', async () => {
  const [store, clock] = [new CutStore(), new Clock()]
  const lease = await acquire(store, { durationMs: 150, clock })
  store.failing = true
  await sleep(120)
  store.failing = false
  const before = (await keysOf(store)).length
  await eventually('the lease is renewed', async () => (await keysOf(store)).length > before)
  store.failing = true
  await lease[Symbol.asyncDispose]()
  store.failing = false
  await assert.rejects(acquire(store, { clock }), coded('ERR_LEASE_HELD'))
  clock.at += 150
  await using next = await acquire(store, { clock })
  await next.assertHeld()
})

test('a release in the midst of a slow renewal is the last word', async () => {
  const [store, clock] = [new CutStore(), new Clock()]
  const lease = await acquire(store, { durationMs: 60, clock })
  let go = (): void => undefined
  store.waits = new Promise((resolve) => (go = resolve))
  await sleep(100)
  const released = lease[Symbol.asyncDispose]()
  go()
  await released
  await using next = await acquire(store, { clock })
  await next.assertHeld()
})

test('a store that cannot be asked lets nobody in', async () => {
  const store = new CutStore()
  store.failing = true
  await assert.rejects(acquire(store), coded('ERR_STORE'))
})
