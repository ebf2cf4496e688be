/** Opening a repository: whom it believes is what the pinned root signed, here and in this place, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { keyringKey, signatureKey } from '../../src/repository/layout.ts'
import { isBroken, Repository } from '../../src/repository/repository.ts'
import { writeKeyring } from '../../src/repository/trust.ts'
import { readObject } from '../../src/storage/object-store.ts'
import {
  commit,
  keyringOf,
  made,
  now,
  otherHost,
  otherRoot,
  refOf,
  replace,
  root,
  signer,
} from '../support/repository-bench.ts'
import { coded } from './contract-materials.ts'
import { MemoryStore } from './memory-store.ts'

test('a new repository, and again later, gives the same id and keyring', async () => {
  const { store, id, repository } = await made()
  assert.match(id, /^[0-9a-f]{32}$/)
  const again = await Repository.open(store, root.fingerprint)
  assert.deepEqual([again.id, again.trust.current], [repository.id, keyringOf(id, 1)])
  assert.deepEqual(again.trust.broken, [])
})

test('nothing, or a repository without keyrings, is an error that says what to do', async () => {
  const store = new MemoryStore()
  const opening = Repository.open(store, root.fingerprint)
  await assert.rejects(opening, coded('ERR_STORE', /there is no repository in memory/))
  await Repository.create(store, now)
  await assert.rejects(Repository.open(store, root.fingerprint), coded('ERR_STORE', /there is no keyring/))
  await assert.rejects(Repository.create(store, now), coded('ERR_EXISTS'))
})

test('another root than the pinned one is refused', async () => {
  const { store } = await made()
  await assert.rejects(
    Repository.open(store, otherRoot.fingerprint),
    coded('ERR_SIGNATURE', /names another root/),
  )
})

test('a keyring that claims the root and was signed by another key is refused', async () => {
  const store = new MemoryStore()
  const id = await Repository.create(store, now)
  await writeKeyring(store, keyringOf(id, 1), otherRoot.signing, now)
  await assert.rejects(Repository.open(store, root.fingerprint), coded('ERR_SIGNATURE', /not trusted here/))
  const both = { fingerprint: root.fingerprint, publicKey: otherRoot.publicKey }
  const claimed = await made()
  await writeKeyring(claimed.store, keyringOf(claimed.id, 2, { root: both }), otherRoot.signing, now)
  const { trust } = await Repository.open(claimed.store, root.fingerprint)
  assert.equal(trust.current.version, 1)
  assert.ok(coded('ERR_SIGNATURE', /names another root/)(trust.broken[0]))
})

test('a keyring without signature, altered, misplaced or of another repository does not count, and is told', async () => {
  const spoil: readonly ((store: MemoryStore, id: string) => Promise<void>)[] = [
    (store, id) => store.create(keyringKey(2), encodeJson(keyringOf(id, 2))),
    async (store, id) => {
      await writeKeyring(store, keyringOf(id, 2), root.signing, now)
      await replace(
        store,
        keyringKey(2),
        encodeJson(keyringOf(id, 2, { signers: [signer(otherHost, 'host', ['*'])] })),
      )
    },
    async (store, id) => {
      await writeKeyring(store, keyringOf(id, 3), root.signing, now)
      for (const key of [keyringKey(3), signatureKey(keyringKey(3))]) {
        await store.create(key.replace('0003', '0002'), await readObject(store, key, { limitBytes: 1e6 }))
        await store.delete(key)
      }
    },
    (store) => writeKeyring(store, keyringOf('f'.repeat(32), 2), root.signing, now),
    (store) => store.create(keyringKey(2), Buffer.from('{}')),
    (store, id) =>
      store.create(
        keyringKey(2),
        encodeJson(keyringOf(id, 2, { root: { fingerprint: root.fingerprint, publicKey: 'none' } })),
      ),
    (store) => store.create(keyringKey(2), Buffer.alloc(5_000_000, ' ')),
  ]
  for (const [n, one] of spoil.entries()) {
    const { store, id } = await made()
    await one(store, id)
    const { trust } = await Repository.open(store, root.fingerprint)
    assert.equal(trust.current.version, 1, String(n))
    assert.equal(trust.broken.length, 1, String(n))
    assert.equal(trust.broken[0]?.exitStatus, 8, String(n))
  }
})

test('the newest keyring is in force, also behind a gap; a backup of the missing one is not believed', async () => {
  const { store, id } = await made()
  const host3 = [signer(otherHost, 'host', ['*'])]
  for (const version of [2, 3, 12])
    await writeKeyring(
      store,
      keyringOf(id, version, { signers: version < 3 ? keyringOf(id, 1).signers : host3 }),
      root.signing,
      now,
    )
  const whole = await Repository.open(store, root.fingerprint)
  assert.equal(whole.trust.current.version, 12)
  await commit(whole, refOf(1), { keyring: 1 })
  await commit(whole, refOf(2), { keyring: 2 })
  await commit(whole, refOf(3), { keyring: 12 }, otherHost)
  await store.delete(keyringKey(2))
  const { trust, ...rest } = await Repository.open(store, root.fingerprint)
  assert.ok(rest)
  assert.deepEqual([...trust.keyrings.keys()], [1, 3, 12])
  const found = await (await Repository.open(store, root.fingerprint)).readAll('koprogo')
  assert.deepEqual(found.map(isBroken), [false, true, false])
})

test('an object in the place of coffre.json that is not one is refused', async () => {
  for (const bytes of [
    Buffer.from('{}\n'),
    encodeJson({ type: 'coffre-repository', format: 2, id: '0'.repeat(32), createdAt: now.toISOString() }),
    Buffer.alloc(70_000, ' '),
  ]) {
    const store = new MemoryStore()
    await store.create('coffre.json', bytes)
    await assert.rejects(Repository.open(store, root.fingerprint), coded('ERR_FORMAT', /coffre\.json/))
  }
})
