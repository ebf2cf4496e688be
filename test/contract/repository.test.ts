/** The repository over a store: what is committed is read again, and only what somebody was allowed to sign is believed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CoffreError } from '../../src/errors.ts'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { signDetached } from '../../src/openpgp/signature.ts'
import { manifestKey } from '../../src/repository/layout.ts'
import { isBroken, type Repository } from '../../src/repository/repository.ts'
import { readObject, type ByteRange, type StoreOptions } from '../../src/storage/object-store.ts'
import {
  backupId,
  commit,
  driller,
  forge,
  host,
  made,
  manifestFor,
  now,
  otherHost,
  refOf,
  replace,
  root,
} from '../support/repository-bench.ts'
import { coded, keysOf } from './contract-materials.ts'
import { MemoryStore } from './memory-store.ts'

describe('committing and reading', () => {
  test('what was committed is read again, with the digest of its bytes', async () => {
    const { repository, store } = await made()
    const manifest = await commit(repository, refOf(1))
    const read = await repository.read(refOf(1))
    assert.deepEqual(read.manifest, manifest)
    assert.match(read.manifestSha256, /^[0-9a-f]{64}$/)
    const folder = `backups/koprogo/${backupId(1)}/`
    assert.deepEqual(
      await keysOf(store, folder),
      ['RESTORE.md', 'manifest.json', 'manifest.json.asc'].map((name) => `${folder}${name}`),
    )
  })

  test('the manifest is the last object written', async () => {
    const order: string[] = []
    class Listening extends MemoryStore {
      override async create(key: string, bytes: Buffer): Promise<void> {
        order.push(key.split('/').at(-1) ?? '')
        await super.create(key, bytes)
      }
    }
    const { repository } = await made(new Listening())
    order.length = 0
    await commit(repository, refOf(1))
    assert.deepEqual(order, ['RESTORE.md', 'manifest.json.asc', 'manifest.json'])
  })

  test('all manifests are found, oldest first, of one source or of all, and nothing else is', async () => {
    const { repository, store } = await made()
    for (const [n, source] of [
      [3, 'koprogo'],
      [1, 'shop'],
      [2, 'koprogo'],
      [4, 'shop'],
    ] as const) {
      await commit(repository, refOf(n, source))
    }
    for (const key of [
      'manifest.json',
      `koprogo/${backupId(9)}/manifest.json.asc`,
      `koprogo/${backupId(9)}/rows/manifest.json`,
      'koprogo/latest/manifest.json',
      `Shop/${backupId(9)}/manifest.json`,
    ]) {
      await store.create(`backups/${key}`, Buffer.from('x'))
    }
    const days = async (source?: string): Promise<string[]> =>
      (await repository.refs(source)).map(({ id }) => id.slice(6, 8))
    assert.deepEqual(await days(), ['01', '02', '03', '04'])
    assert.deepEqual(await days('koprogo'), ['02', '03'])
    assert.deepEqual(await days('sho'), [])
  })

  test('a backup that is not there is ERR_NO_BACKUP', async () => {
    const { repository } = await made()
    await assert.rejects(
      repository.read(refOf(1)),
      coded('ERR_NO_BACKUP', /there is no backup 20261101T020000Z-7f3a9c2e of koprogo/),
    )
  })

  test('nothing is committed over an existing backup, and what is there stays as it was', async () => {
    const { repository } = await made()
    await commit(repository, refOf(1))
    const { manifestSha256 } = await repository.read(refOf(1))
    await assert.rejects(commit(repository, refOf(1), { sequence: 9 }), coded('ERR_EXISTS'))
    assert.equal((await repository.read(refOf(1))).manifestSha256, manifestSha256)
  })

  test('a manifest no reader would believe is not even written', async () => {
    const { repository, store } = await made()
    const before = await keysOf(store)
    await assert.rejects(
      commit(repository, refOf(1), {}, otherHost),
      coded('ERR_SIGNATURE', /does not trust for koprogo/),
    )
    await assert.rejects(commit(repository, refOf(1), {}, driller), coded('ERR_SIGNATURE'))
    await assert.rejects(commit(repository, refOf(1, 'other')), coded('ERR_SIGNATURE'))
    await assert.rejects(commit(repository, refOf(1), { keyring: 2 }), coded('ERR_SIGNATURE', /keyring 2/))
    await assert.rejects(
      commit(repository, refOf(1), { backup: backupId(2) }),
      coded('ERR_SIGNATURE', /another backup/),
    )
    await assert.rejects(commit(repository, refOf(1), { artifacts: [] }), coded('ERR_FORMAT'))
    assert.deepEqual(await keysOf(store), before)
  })
})

describe('reading does not believe', () => {
  const spoiled: readonly (readonly [
    what: string,
    write: (repository: Repository, store: MemoryStore) => Promise<void>,
    code: string,
  ])[] = [
    [
      'a signer that may sign reports only',
      (repository, store) =>
        forge(store, refOf(1), encodeJson(manifestFor(repository, refOf(1)).manifest), driller),
      'ERR_SIGNATURE',
    ],
    [
      'a signer nobody knows',
      (repository, store) =>
        forge(store, refOf(1), encodeJson(manifestFor(repository, refOf(1)).manifest), otherHost),
      'ERR_SIGNATURE',
    ],
    [
      'the root itself',
      (repository, store) =>
        forge(store, refOf(1), encodeJson(manifestFor(repository, refOf(1)).manifest), root),
      'ERR_SIGNATURE',
    ],
    [
      'a keyring that does not exist',
      (repository, store) =>
        forge(store, refOf(1), encodeJson(manifestFor(repository, refOf(1), { keyring: 7 }).manifest), host),
      'ERR_SIGNATURE',
    ],
    [
      'a manifest of another repository',
      (repository, store) =>
        forge(
          store,
          refOf(1),
          encodeJson(manifestFor(repository, refOf(1), { repository: 'f'.repeat(32) }).manifest),
          host,
        ),
      'ERR_SIGNATURE',
    ],
    [
      'a manifest of another backup, moved here',
      (repository, store) =>
        forge(store, refOf(1), encodeJson(manifestFor(repository, refOf(2)).manifest), host),
      'ERR_SIGNATURE',
    ],
    [
      'a manifest of another source, moved here',
      (repository, store) =>
        forge(store, refOf(1), encodeJson(manifestFor(repository, refOf(1, 'shop')).manifest), host),
      'ERR_SIGNATURE',
    ],
    [
      'something signed that is no manifest',
      (_, store) => forge(store, refOf(1), Buffer.from('hello\n'), host),
      'ERR_FORMAT',
    ],
    [
      'a manifest without signature',
      (repository, store) =>
        store.create(manifestKey(refOf(1)), encodeJson(manifestFor(repository, refOf(1)).manifest)),
      'ERR_SIGNATURE',
    ],
    [
      'a manifest altered by a byte',
      async (repository, store) => {
        await commit(repository, refOf(1))
        const bytes = await readObject(store, manifestKey(refOf(1)), { limitBytes: 1e6 })
        await replace(
          store,
          manifestKey(refOf(1)),
          Buffer.from(bytes.toString().replace('"level": 3', '"level": 4')),
        )
      },
      'ERR_SIGNATURE',
    ],
    [
      'an older manifest in the place of a newer one',
      async (repository, store) => {
        await commit(repository, refOf(1), { sequence: 1 })
        const bytes = encodeJson(manifestFor(repository, refOf(1), { sequence: 2 }).manifest)
        await replace(store, manifestKey(refOf(1)), bytes)
      },
      'ERR_SIGNATURE',
    ],
  ]
  for (const [what, write, code] of spoiled) {
    test(what, async () => {
      const { repository, store } = await made()
      await write(repository, store)
      await assert.rejects(repository.read(refOf(1)), coded(code))
      const [found, ...others] = await repository.readAll('koprogo')
      assert.ok(found !== undefined && isBroken(found) && others.length === 0)
      assert.equal(found.error.code, code)
    })
  }

  test('one broken backup among others does not hide them', async () => {
    const { repository, store } = await made()
    for (const n of [1, 2, 3]) await commit(repository, refOf(n))
    await replace(store, manifestKey(refOf(2)), Buffer.from('{}\n'))
    const found = await repository.readAll(undefined)
    assert.deepEqual(
      found.map((one) => [one.ref.id, isBroken(one)]),
      [1, 2, 3].map((n) => [backupId(n), n === 2]),
    )
  })

  test('a store that fails is not taken for a broken backup', async () => {
    class Failing extends MemoryStore {
      failing = false
      override async *get(
        key: string,
        options?: StoreOptions & { range?: ByteRange | undefined },
      ): AsyncGenerator<Buffer> {
        if (this.failing) throw new CoffreError('ERR_STORE', 'the network is gone')
        yield* super.get(key, options)
      }
    }
    const store = new Failing()
    const { repository } = await made(store)
    await commit(repository, refOf(1))
    store.failing = true
    await assert.rejects(repository.readAll(undefined), coded('ERR_STORE', /network/))
  })
})

/** A store that does something else with what it was told to keep under a name. */
class LyingStore extends MemoryStore {
  lie: (key: string, bytes: Buffer) => Buffer | undefined = (_, bytes) => bytes

  override async create(key: string, bytes: Buffer): Promise<void> {
    const kept = this.lie(key, bytes)
    if (kept !== undefined) await super.create(key, kept)
  }
}

describe('a store that does not keep what it says it kept', () => {
  const other = (bytes: Buffer): Buffer =>
    Buffer.from(bytes.toString().replace('"sequence": 2', '"sequence": 3'))
  const lies: readonly (readonly [what: string, lie: LyingStore['lie']])[] = [
    ['loses the manifest', (key, bytes) => (key.endsWith('manifest.json') ? undefined : bytes)],
    ['alters the manifest', (key, bytes) => (key.endsWith('manifest.json') ? other(bytes) : bytes)],
    ['cuts the manifest', (key, bytes) => (key.endsWith('manifest.json') ? bytes.subarray(0, -1) : bytes)],
    ['loses the signature', (key, bytes) => (key.endsWith('manifest.json.asc') ? undefined : bytes)],
    [
      'alters the signature',
      (key, bytes) => (key.endsWith('.asc') ? Buffer.from(bytes.toString().toLowerCase()) : bytes),
    ],
  ]
  for (const [what, lie] of lies) {
    test(`${what}: an error, and no success`, async () => {
      const store = new LyingStore()
      const { repository } = await made(store)
      store.lie = lie
      await assert.rejects(
        commit(repository, refOf(1)),
        coded('ERR_NOT_STORED', /does not give back the manifest/),
      )
    })
  }

  test('keeps another manifest that is validly signed: still an error', async () => {
    const { repository, store } = await made(new LyingStore())
    assert.ok(store instanceof LyingStore)
    const planted = encodeJson(manifestFor(repository, refOf(1), { sequence: 77 }).manifest)
    const signature = Buffer.from(await signDetached(planted, host.signing, now))
    store.lie = (key, bytes) => (key.endsWith('.json') ? planted : key.endsWith('.asc') ? signature : bytes)
    await assert.rejects(commit(repository, refOf(1)), coded('ERR_NOT_STORED'))
  })
})
