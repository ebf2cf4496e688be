/**
 * The S3 store before a server that is busy, stalls half-way, loses what it began or keeps other bytes than it was
 * given. In front of the real server stands a proxy that goes wrong on request. Nothing may be left behind.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import type { ObjectStore } from '../../src/storage/object-store.ts'
import { openS3Store, type S3Settings } from '../../src/storage/s3.ts'
import { bytesOf, chunked, coded, collect, keysOf, mebibyte } from '../contract/contract-materials.ts'
import { makeS3TestBucket, type S3TestBucket } from '../contract/s3-test-bucket.ts'
import { type FaultyProxy, type Fault, startFaultyProxy } from './faulty-proxy.ts'

const small = Buffer.from('{"a":"manifest"}')
const large = bytesOf(17 * mebibyte)

let bucket: S3TestBucket
let proxy: FaultyProxy
let prefix: string
/** Straight to the server, to see what is really there. */
let direct: ObjectStore

before(async () => {
  bucket = await makeS3TestBucket()
})
after(() => bucket.close())
beforeEach(async () => {
  proxy = await startFaultyProxy(bucket.settings.endpoint ?? '')
  prefix = randomUUID()
  direct = await openS3Store({ ...bucket.settings, prefix })
})
afterEach(() => proxy.close())

const open = (changes: Partial<S3Settings> = {}): Promise<ObjectStore> =>
  openS3Store({ ...bucket.settings, endpoint: proxy.endpoint, prefix, maxAttempts: 2, ...changes })

const isPut = (request: IncomingMessage): boolean =>
  request.method === 'PUT' && !request.url?.includes('uploadId')

/** Goes wrong for the first `times` requests of a kind. */
function fault(
  kind: (request: IncomingMessage) => boolean,
  what: Fault,
  times = Number.POSITIVE_INFINITY,
): void {
  let left = times
  proxy.decide = (request) => {
    if (left === 0 || !kind(request)) return undefined
    left -= 1
    return what
  }
}

function xmlError(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>by the proxy</Message></Error>`
}

async function assertNothing(): Promise<void> {
  assert.deepEqual(await keysOf(direct), [])
  assert.deepEqual(await bucket.openUploads(prefix), [])
}

describe('an upload that the store began without anybody hearing of it', () => {
  const isBegin = (request: IncomingMessage): boolean =>
    request.method === 'POST' && /[?&]uploads/.test(request.url ?? '')

  it('is given back: when its answer was lost and the next one came', async () => {
    const store = await open()
    fault(isBegin, { kind: 'lose-answer' }, 1)
    await store.put('x', chunked(large))
    assert.deepEqual(await collect(direct.get('x')), large)
    assert.deepEqual(await bucket.openUploads(prefix), [])
  })

  it('is given back: when no answer came at all', async () => {
    const store = await open()
    fault(isBegin, { kind: 'lose-answer' })
    await assert.rejects(store.put('x', chunked(large)), coded('ERR_STORE', /cut/))
    await assertNothing()
  })

  it('is given back: when the signal aborts before its answer comes', async () => {
    const store = await open()
    const controller = new AbortController()
    proxy.decide = (request) => {
      if (!isBegin(request)) return undefined
      setTimeout(() => controller.abort(), 700)
      return { kind: 'freeze-answer', afterBytes: 0 }
    }
    await assert.rejects(
      store.put('x', chunked(large), { signal: controller.signal }),
      coded('ERR_INTERRUPTED'),
    )
    await assertNothing()
  })
})

describe('a busy store', () => {
  const slowDown = (seconds: string): Fault => ({
    kind: 'answer',
    status: 503,
    body: xmlError('SlowDown'),
    headers: { 'retry-after': seconds },
  })

  it('that asks to slow down gets more attempts than one that does not answer, as late as it asks', async () => {
    const store = await open({ maxAttempts: 1 })
    fault(isPut, slowDown('2'), 1)
    const began = performance.now()
    await store.create('x', small)
    assert.ok(performance.now() - began >= 2000)
    assert.deepEqual(await collect(direct.get('x')), small)
  })

  it('is not waited for when the signal aborts during the pause', async () => {
    const store = await open()
    const controller = new AbortController()
    fault(isPut, slowDown('25'))
    setTimeout(() => controller.abort(), 300)
    const began = performance.now()
    await assert.rejects(store.create('x', small, { signal: controller.signal }), coded('ERR_INTERRUPTED'))
    assert.ok(performance.now() - began < 12_000)
  })
})

describe('a store that answers half', () => {
  it('of a list, then stalls: given up, not waited for', { timeout: 60_000 }, async () => {
    await direct.create('x', small)
    const store = await open({ requestTimeoutMs: 400 })
    const isList = (request: IncomingMessage): boolean => request.url?.includes('list-type') === true
    fault(isList, { kind: 'freeze-answer', afterBytes: 60 })
    await assert.rejects(keysOf(store), coded('ERR_STORE'))
  })
})

describe('an object that is not what was given', () => {
  it('by its ETag, whatever its size: not kept', async () => {
    const store = await open()
    const etag = '"00000000000000000000000000000000"'
    proxy.decide = (request) =>
      request.method === 'HEAD' ? { kind: 'change-header', header: 'etag', value: etag } : undefined
    const refused = coded('ERR_NOT_STORED', /other bytes than it was given .*; it was removed/)
    await assert.rejects(store.create('x', small), refused)
    await assert.rejects(store.put('y', chunked(large)), refused)
    await assertNothing()
  })
})

describe('a server that is not known to refuse an overwrite', () => {
  it('is asked before each write, and told to refuse as well', async () => {
    const store = await open({ provider: 'generic' })
    let conditional = 0
    proxy.decide = (request) => {
      if (isPut(request) && request.headers['if-none-match'] === '*') conditional += 1
      return undefined
    }
    await store.create('x', small)
    await assert.rejects(store.create('x', small), coded('ERR_EXISTS'))
    assert.equal(conditional, 1, 'the second one was not even sent')
  })
})
