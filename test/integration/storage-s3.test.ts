/**
 * The S3 store on a real server: credentials, buckets, encryption and other people's objects.
 * What every store must do is in test/contract; broken connections are in storage-s3-faults.test.ts.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { CoffreError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/storage/object-store.ts'
import { openS3Store, type S3Settings } from '../../src/storage/s3.ts'
import { bytesOf, chunked, coded, collect, keysOf, mebibyte } from '../contract/contract-materials.ts'
import {
  makeS3TestBucket,
  piecesAtRest,
  type S3TestBucket,
  serverEncrypts,
} from '../contract/s3-test-bucket.ts'

const large = bytesOf(6 * mebibyte)

let bucket: S3TestBucket

before(async () => {
  bucket = await makeS3TestBucket()
})
after(() => bucket.close())

const open = (changes: Partial<S3Settings>): Promise<ObjectStore> =>
  openS3Store({ ...bucket.settings, prefix: randomUUID(), ...changes })

/** Every call of the port that reaches the server, by name. */
function calls(store: ObjectStore): Record<string, () => Promise<unknown>> {
  return {
    'a small put': () => store.put('a', chunked(Buffer.from('x'))),
    'a put of several MiB': () => store.put('a', chunked(large.subarray(0, 4 * mebibyte))),
    'a put in parts': () => store.put('a', chunked(large)),
    create: () => store.create('a', Buffer.from('x')),
    get: () => collect(store.get('a')),
    head: () => store.head('a'),
    list: () => keysOf(store),
    delete: () => store.delete('a'),
  }
}

async function failureOf(call: () => Promise<unknown>): Promise<CoffreError> {
  try {
    await call()
  } catch (error) {
    assert.ok(error instanceof CoffreError, `not a CoffreError: ${inspect(error)}`)
    return error
  }
  return assert.fail('it did not fail')
}

describe('credentials', () => {
  it('that are wrong: every call is denied at once, and no secret is told', async () => {
    const accessKeyId = bucket.settings.credentials?.accessKeyId ?? ''
    const secretAccessKey = 'wrong-secret-0123456789'
    const wrong = [
      { accessKeyId, secretAccessKey },
      { accessKeyId: 'NOSUCHKEY', secretAccessKey },
    ]
    for (const credentials of wrong) {
      const store = await open({ credentials })
      for (const [name, call] of Object.entries(calls(store))) {
        const began = performance.now()
        const error = await failureOf(call)
        assert.equal(error.code, 'ERR_STORE_DENIED', `${name}: ${error.message}`)
        const told = inspect(error, { depth: 20, showHidden: true }) + error.hint
        for (const secret of [
          secretAccessKey,
          bucket.settings.credentials?.secretAccessKey ?? '?',
          'AWS4-HMAC',
        ]) {
          assert.ok(!told.includes(secret), `${name} tells ${secret}`)
        }
        assert.ok(performance.now() - began < 2000, `${name} was tried again`)
      }
    }
  })

  it('that may not see a bucket: denied, and a head is not "no such object"', async () => {
    const others = await makeS3TestBucket()
    try {
      const anonymous = {
        accessKeyId: process.env['COFFRE_S3_OTHER_ACCESS_KEY'] ?? 'NOBODY',
        secretAccessKey: 'x',
      }
      const store = await open({ bucket: others.name, credentials: anonymous })
      await assert.rejects(store.head('nothing'), coded('ERR_STORE_DENIED'))
    } finally {
      await others.close()
    }
  })
})

describe('settings', () => {
  it('with a bucket that is not there: named, with a hint', async () => {
    const store = await open({ bucket: `no-such-${randomUUID()}` })
    for (const [name, call] of Object.entries(calls(store))) {
      const error = await failureOf(call)
      assert.equal(error.code, 'ERR_STORE', `${name}: ${error.message}`)
      assert.match(error.message, /no such bucket/, name)
      assert.match(error.hint, /bucket/)
    }
  })

  it('that a provider cannot meet are refused before anything is sent', async () => {
    const cases: [Partial<S3Settings>, RegExp][] = [
      [{ provider: 'r2', encryption: 'sse-s3' }, /Cloudflare R2 does not offer encryption: sse-s3/],
      [{ provider: 'hetzner', encryption: 'sse-s3' }, /does not offer/],
      [{ provider: 'ovh', encryption: 'sse-kms' }, /does not offer/],
      [{ provider: 'r2', endpoint: undefined }, /no endpoint/],
      [{ partSizeBytes: 1024 }, /part size/],
      [{ prefix: '../up' }, /prefix/],
      [{ prefix: 'x'.repeat(121) }, /prefix/],
    ]
    for (const [changes, pattern] of cases) await assert.rejects(open(changes), coded('ERR_CONFIG', pattern))
  })
})

describe('encryption', () => {
  it('by the provider (AES256): seen on every object where it is given; nothing is kept where it is ignored', async (t) => {
    const prefix = randomUUID()
    const store = await open({ prefix, encryption: 'sse-s3' })
    const plain = await open({ prefix })
    const text = Buffer.from(prefix)
    const writes = {
      small: () => store.put('small', chunked(text)),
      large: () => store.put('large', chunked(Buffer.concat([text, large]))),
      created: () => store.create('created', text),
    }
    t.diagnostic(serverEncrypts() ? 'this server encrypts' : 'this server takes the header and ignores it')
    for (const [key, write] of Object.entries(writes)) {
      if (!serverEncrypts()) {
        const refused = /did not encrypt it \(AES256 was asked for\); it was removed/
        await assert.rejects(write(), coded('ERR_NOT_STORED', refused))
        continue
      }
      await write()
      assert.equal((await store.head(key))?.encryption, 'AES256', key)
      assert.deepEqual((await collect(plain.get(key))).subarray(0, text.length), text)
    }
    assert.deepEqual(await keysOf(plain), serverEncrypts() ? Object.keys(writes).toSorted() : [])
    assert.deepEqual(await bucket.openUploads(prefix), [])
  })

  it('is real: what the server keeps does not hold the bytes it was given, in one piece or in parts', async () => {
    const encryptions = serverEncrypts()
      ? (['none', 'sse-s3', 'sse-kms'] as const)
      : (['none', 'sse-kms'] as const)
    for (const encryption of encryptions) {
      const prefix = randomUUID()
      const kmsKey = encryption === 'sse-kms' ? 'testkey-1' : undefined
      const store = await open({ prefix, encryption, kmsKey })
      const marked = Buffer.concat([Buffer.from(prefix), large, Buffer.from(prefix)])
      await store.put('large', chunked(marked))
      await store.create('small', Buffer.from(prefix))
      const { pieces, holding } = await piecesAtRest(prefix, prefix)
      assert.ok(pieces >= 3, `${pieces} pieces`)
      assert.equal(holding > 0, encryption === 'none', `${encryption}: ${holding} of ${pieces} hold the text`)
      if (encryption === 'none') assert.equal(holding, 3)
      assert.deepEqual(await collect(store.get('large')), marked)
    }
  })

  it('with a KMS key: asked for, given, and seen', async () => {
    const store = await open({ encryption: 'sse-kms', kmsKey: 'testkey-1' })
    await store.put('small', chunked(Buffer.from('x')))
    await store.put('large', chunked(large))
    await store.create('created', Buffer.from('x'))
    for (const key of ['small', 'large', 'created']) {
      assert.equal((await store.head(key))?.encryption, 'aws:kms', key)
    }
    assert.deepEqual(await collect(store.get('large')), large)
    const range = { start: 5 * mebibyte - 7, length: 14 }
    assert.deepEqual(
      await collect(store.get('large', { range })),
      large.subarray(range.start, range.start + 14),
    )
  })

  it('with a KMS key that the server does not have: nothing is kept', async () => {
    const store = await open({ encryption: 'sse-kms', kmsKey: 'no-such-key' })
    assert.match((await failureOf(() => store.put('a', chunked(Buffer.from('x'))))).code, /^ERR_STORE/)
    assert.deepEqual(await keysOf(store), [])
  })
})

describe('objects of other people', () => {
  it('are not listed where coffre cannot have written them, nor what is beside the prefix', async () => {
    const prefix = randomUUID()
    const store = await open({ prefix })
    const foreign = [
      'a b',
      'ü',
      'folder/',
      '.hidden',
      'x//y',
      '../up',
      'a+b',
      'a%2Fb',
      'control\u0001',
      '<x>&amp;',
    ]
    for (const name of [...foreign, 'kept']) {
      await bucket.client.send(
        new PutObjectCommand({ Bucket: bucket.name, Key: `${prefix}/${name}`, Body: 'x' }),
      )
    }
    await bucket.client.send(
      new PutObjectCommand({ Bucket: bucket.name, Key: `${prefix}-beside/x`, Body: 'x' }),
    )
    assert.deepEqual(await keysOf(store), ['kept'])
  })

  it('are not taken for an object of an empty prefix either', async () => {
    const whole = await makeS3TestBucket()
    try {
      const store = await openS3Store({ ...whole.settings, prefix: '' })
      await store.create('a/b', Buffer.from('x'))
      assert.deepEqual(await keysOf(store), ['a/b'])
      assert.equal(store.description, `s3://${whole.name}`)
    } finally {
      await whole.close()
    }
  })
})
