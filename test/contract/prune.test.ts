/** prune over a store: what it removes, what it leaves whatever happens, and what it remembers. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hold } from '../../src/operations/hold.ts'
import { backupFolder, holdKey, ledgerKey, manifestKey, signatureKey } from '../../src/repository/layout.ts'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { signDetached } from '../../src/openpgp/signature.ts'
import { addBackup, contextAt, evening, foundRepository, operator, pruneAt } from '../support/pruning.ts'
import { dayMs, usual } from '../support/retained-backups.ts'
import { host } from '../support/repository-bench.ts'
import { coded, keysOf } from './contract-materials.ts'
import { MemoryStore } from './memory-store.ts'

async function nights(count: number) {
  const found = await foundRepository(new MemoryStore())
  const refs = []
  for (let night = 0; night < count; night += 1) refs.push(await addBackup(found.repository, night))
  return { ...found, refs }
}
const ids = (decisions: readonly { readonly id: string }[]): readonly string[] =>
  decisions.map(({ id }) => id)

describe('what prune does', () => {
  test('a dry run decides and touches nothing, needs no key and leaves no ledger', async () => {
    const { repository, store } = await nights(12)
    const before = await keysOf(store)
    const result = await pruneAt(repository, 11, { dryRun: true, signingKey: undefined })
    assert.ok(result.remove.length > 0)
    assert.deepEqual(await keysOf(store), before)
  })

  test('it removes every object of what goes and no object of what stays', async () => {
    const { repository, store } = await nights(12)
    const before = await keysOf(store, 'backups/')
    const { remove, removedObjects } = await pruneAt(repository, 11)
    assert.equal(remove.length, 5)
    const gone = ids(remove)
    const expected = before.filter((key) => !gone.some((id) => key.includes(id)))
    assert.deepEqual(await keysOf(store, 'backups/'), expected)
    assert.equal(removedObjects, before.length - expected.length)
    assert.deepEqual(ids((await pruneAt(repository, 11)).remove), [])
  })

  test('without an operator’s key nothing is removed', async () => {
    const { repository, store } = await nights(12)
    const before = await keysOf(store)
    await assert.rejects(pruneAt(repository, 11, { signingKey: undefined }), coded('ERR_CONFIG'))
    await assert.rejects(pruneAt(repository, 11, {}, host.signing), coded('ERR_PIN'))
    assert.deepEqual(await keysOf(store), before)
  })

  test('debris goes after its grace, unfinished or orphaned; a whole backup’s objects never', async () => {
    const { repository, store, refs } = await nights(3)
    const orphan = { source: 'koprogo', id: refs[0]?.id.replace(/-.*/, '-00000000') }
    const fresh = { source: 'koprogo', id: refs[2]?.id.replace(/-.*/, '-00000000') }
    for (const { id } of [orphan, fresh])
      await store.create(`backups/koprogo/${id}/rows/0001.sql.zst.gpg`, Buffer.from('x'))
    await pruneAt(repository, 2)
    const left = await keysOf(store, 'backups/')
    assert.ok(!left.some((key) => key.includes(orphan.id ?? '?')))
    assert.ok(left.some((key) => key.includes(fresh.id ?? '?')))
    for (const ref of refs) assert.ok(left.includes(manifestKey(ref)))
  })

  test('a backup that is being made holds it up', async () => {
    const { repository, store } = await nights(3)
    const { Lease } = await import('../../src/repository/lease.ts')
    const { holder } = contextAt(evening(2))
    await using lease = await Lease.acquire(store, {
      source: 'koprogo',
      holder,
      durationMs: 60_000,
      now: () => evening(2),
    })
    await assert.rejects(pruneAt(repository, 2), coded('ERR_LEASE_HELD'))
    await lease.assertHeld()
  })
})

describe('what somebody else did', () => {
  test('a manifest that vanished is told, and its artifacts stay', async () => {
    const { repository, store, refs } = await nights(5)
    await pruneAt(repository, 4)
    const [first] = refs
    assert.ok(first)
    await store.delete(manifestKey(first))
    await addBackup(repository, 5)
    const { alarms } = await pruneAt(repository, 5)
    assert.match(alarms.join('\n'), new RegExp(`manifest of ${first.id} .* coffre did not remove it`))
    assert.ok((await keysOf(store, backupFolder(first))).length > 3)
  })

  test('a manifest that was signed anew after it was first seen is left alone and takes no place', async () => {
    const { repository, store, refs } = await nights(5)
    await pruneAt(repository, 4)
    const [first] = refs
    assert.ok(first)
    const { manifest } = await repository.read(first)
    const bytes = encodeJson({ ...manifest, plainBytes: manifest.plainBytes + 1 })
    await store.delete(manifestKey(first))
    await store.delete(signatureKey(manifestKey(first)))
    await store.create(
      signatureKey(manifestKey(first)),
      Buffer.from(await signDetached(bytes, host.signing, evening(4))),
    )
    await store.create(manifestKey(first), bytes)
    const { alarms, keep } = await pruneAt(repository, 5, {
      policy: { ...usual, daily: 1, maxRemoveFraction: 1 },
    })
    assert.match(alarms.join('\n'), /not the one that was first seen/)
    assert.ok(ids(keep).includes(first.id))
  })

  test('with the host’s key: backdated and future backups push out none of the good ones', async () => {
    const { repository } = await nights(40)
    const policy = { ...usual, maxRemoveFraction: 1 }
    const good = ids((await pruneAt(repository, 39, { policy })).keep)
    for (const [index, night] of [1.5, 20.5, 33.5, 37.5, 38.5, 45.5, 400.5].entries())
      await addBackup(repository, night, { sequence: 100 + index })
    const { keep, alarms } = await pruneAt(repository, 39.1, { policy })
    assert.deepEqual(
      good.filter((id) => !ids(keep).includes(id)),
      [],
    )
    assert.equal(alarms.length, 7)
    // And when those whose memory doubts them have gone.
    for (let night = 40; night < 60; night += 1) await addBackup(repository, night, { sequence: 200 + night })
    const later = await pruneAt(repository, 59.1, { policy })
    assert.equal(later.alarms.length, 7)
    assert.ok(
      later.keep.filter(({ reasons }) => reasons.some((one) => one.startsWith('doubted'))).length === 7,
    )
  })

  test('unsigned and wrongly signed ledger entries and holds are ignored and told; numbers they occupy are skipped', async () => {
    const { repository, store, refs } = await nights(5)
    await pruneAt(repository, 4)
    const [first] = refs
    assert.ok(first)
    const value = {
      type: 'coffre-hold',
      format: 1,
      repository: repository.id,
      source: 'koprogo',
      backup: first.id,
      number: 1,
      keyring: 1,
      event: 'hold',
      reason: 'x',
      at: evening(4).toISOString(),
    }
    const bytes = encodeJson(value)
    await store.create(
      signatureKey(holdKey(first, 1)),
      Buffer.from(await signDetached(bytes, host.signing, evening(4))),
    )
    await store.create(holdKey(first, 1), bytes)
    await store.create(ledgerKey(2), Buffer.from('{}\n'))
    await addBackup(repository, 5)
    const { alarms, held } = await pruneAt(repository, 5)
    assert.equal(alarms.filter((one) => one.startsWith('ignored')).length, 2)
    assert.deepEqual(held, [])
    assert.ok((await keysOf(store, 'ledger/')).includes(ledgerKey(3)))
  })

  test('a ledger with an entry taken away stops prune', async () => {
    const { repository, store } = await nights(3)
    await pruneAt(repository, 2)
    await addBackup(repository, 3)
    await pruneAt(repository, 3)
    await store.delete(ledgerKey(1))
    await store.delete(signatureKey(ledgerKey(1)))
    await assert.rejects(pruneAt(repository, 3), coded('ERR_SIGNATURE', /gap/))
  })
})

describe('holds', () => {
  const request = { source: undefined, reason: 'case 7', signingKey: operator.signing } as const

  test('a held backup stays until it is released', async () => {
    const { repository, refs } = await nights(30)
    const policy = { ...usual, maxRemoveFraction: 1 }
    const id = refs[3]?.id ?? ''
    await hold(contextAt(evening(29)), { ...request, repository, id, event: 'hold' })
    const first = await pruneAt(repository, 29, { policy })
    assert.deepEqual(first.held, [{ source: 'koprogo', id, until: null, reason: 'case 7' }])
    assert.ok(ids(first.keep).includes(id))
    const released = await hold(contextAt(evening(29)), { ...request, repository, id, event: 'release' })
    assert.equal(released.number, 2)
    assert.deepEqual(ids((await pruneAt(repository, 29, { policy })).remove), [id])
  })

  test('only an operator holds and releases, and only what is there and held', async () => {
    const { repository, refs } = await nights(2)
    const id = refs[0]?.id ?? ''
    const context = contextAt(evening(2))
    await assert.rejects(
      hold(context, { ...request, repository, id, event: 'hold', signingKey: host.signing }),
      coded('ERR_PIN'),
    )
    await assert.rejects(hold(context, { ...request, repository, id, event: 'release' }), coded('ERR_USAGE'))
    await assert.rejects(
      hold(context, { ...request, repository, id: '20200101T000000Z-00000000', event: 'hold' }),
      coded('ERR_NO_BACKUP'),
    )
  })
})

test('guards: while backups have stopped, or too much would go, nothing is removed', async () => {
  const { repository, store } = await nights(12)
  const before = (await keysOf(store, 'backups/')).length
  const much = await pruneAt(repository, 11, {
    policy: { ...usual, newestWithinMs: 2 * dayMs, maxRemoveFraction: 0.1 },
  })
  assert.match(much.refused[0]?.guard ?? '', /max_remove_fraction/)
  const stale = await pruneAt(repository, 15)
  assert.match(stale.refused[0]?.guard ?? '', /backups have stopped/)
  assert.equal((await keysOf(store, 'backups/')).length, before)
})
