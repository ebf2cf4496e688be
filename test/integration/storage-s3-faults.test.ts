/**
 * The S3 store when the way to the server is bad: connections cut, answers lost or late, errors that look like
 * success. In front of the real server stands a proxy that goes wrong on request. Nothing may be half visible, and
 * no failure may look like success.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
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
const isPart = (request: IncomingMessage): boolean => request.url?.includes('partNumber=') === true
const isGet = (request: IncomingMessage): boolean =>
  request.method === 'GET' && !request.url?.includes('list-type')
const isComplete = (request: IncomingMessage): boolean =>
  request.method === 'POST' && request.url?.includes('uploadId=') === true

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

describe('an upload', () => {
  it('goes on when connections are cut now and then', async () => {
    const store = await open()
    fault(isPart, { kind: 'cut-request', afterBytes: mebibyte }, 2)
    assert.deepEqual(await store.put('x', chunked(large, [300_007])), { sizeBytes: large.length })
    fault(isPut, { kind: 'cut-request', afterBytes: 1 }, 1)
    await store.create('y', small)
    assert.deepEqual(await collect(direct.get('x')), large)
    assert.deepEqual(await collect(direct.get('y')), small)
  })

  it('fails when parts cannot be sent, and takes the others back', async () => {
    const store = await open()
    let parts = 0
    proxy.decide = (request) => {
      if (isPart(request)) parts += 1
      return isPart(request) && parts > 1 ? { kind: 'cut-request', afterBytes: mebibyte } : undefined
    }
    await assert.rejects(
      store.put('x', chunked(large)),
      coded('ERR_STORE', /part [23] of x .*connection was cut/),
    )
    await assertNothing()
  })

  it('fails when the server dies half way; the source is not left waiting', { timeout: 30_000 }, async () => {
    const store = await open()
    let finished = false
    async function* slow(): AsyncGenerator<Buffer> {
      try {
        yield large.subarray(0, 6 * mebibyte)
        await proxy.close()
        yield large.subarray(6 * mebibyte, 11 * mebibyte)
        await new Promise(() => {})
      } finally {
        finished = true
      }
    }
    const source = slow()
    const began = performance.now()
    await assert.rejects(store.put('x', source), coded('ERR_STORE', /refused|cut/))
    assert.ok(performance.now() - began < 12_000, 'within its attempts')
    assert.equal(finished, false, 'the source was silent: nobody waited for it')
    assert.deepEqual(await keysOf(direct), [])
    proxy = await startFaultyProxy(bucket.settings.endpoint ?? '')
  })

  it('does not wait for ever for an answer', async () => {
    const store = await open({ requestTimeoutMs: 300 })
    for (const kind of [isPut, isPart]) {
      fault(kind, { kind: 'silence' })
      const body = kind === isPut ? small : large
      await assert.rejects(store.put('x', chunked(body)), coded('ERR_STORE', /no answer in time/))
      await assertNothing()
    }
  })

  it('does not read ahead of a server that takes nothing: the parts in flight and one more', async () => {
    const store = await open({ concurrency: 2, requestTimeoutMs: 60_000 })
    fault(isPart, { kind: 'silence' })
    let pulledBytes = 0
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        pulledBytes += mebibyte
        yield large.subarray(0, mebibyte)
      }
    }
    const controller = new AbortController()
    const putting = store.put('x', endless(), { signal: controller.signal })
    await pause(1500)
    assert.equal(pulledBytes, 3 * 5 * mebibyte)
    controller.abort()
    await assert.rejects(putting, coded('ERR_INTERRUPTED'))
    await assertNothing()
  })

  it('is abandoned at once when the signal aborts during a request', async () => {
    const store = await open()
    for (const kind of [isPut, isPart, isComplete]) {
      const controller = new AbortController()
      proxy.decide = (request) => {
        if (!kind(request)) return undefined
        setTimeout(() => controller.abort(), 50)
        return { kind: 'silence' }
      }
      const began = performance.now()
      const putting = store.put('x', chunked(kind === isPut ? small : large), { signal: controller.signal })
      await assert.rejects(putting, coded('ERR_INTERRUPTED'))
      assert.ok(performance.now() - began < 2500)
      await assertNothing()
    }
  })

  it('takes back what was stored while the signal aborted', async () => {
    const store = await open()
    for (const kind of [isPut, isComplete]) {
      const controller = new AbortController()
      proxy.decide = (request) => {
        if (!kind(request)) return undefined
        setTimeout(() => controller.abort(), 700)
        return { kind: 'freeze-answer', afterBytes: 0 }
      }
      const putting = store.put('x', chunked(kind === isPut ? small : large), { signal: controller.signal })
      await assert.rejects(putting, coded('ERR_INTERRUPTED'))
      await assertNothing()
    }
  })
})

describe('what is sent', () => {
  it('carries Content-MD5 and a plain length with every body, and no checksum that old servers refuse', async () => {
    const store = await open()
    const bodies: Record<string, unknown>[] = []
    proxy.decide = (request) => {
      if (request.method === 'PUT') bodies.push(request.headers)
      return undefined
    }
    await store.put('large', chunked(large))
    await store.put('small', chunked(small))
    await store.create('created', small)
    assert.equal(bodies.length, 4 + 2)
    for (const headers of bodies) {
      assert.match(String(headers['content-md5']), /^[A-Za-z0-9+/]{22}==$/)
      assert.match(String(headers['content-length']), /^\d+$/)
      const unwanted = Object.keys(headers).filter((name) =>
        /checksum|trailer|transfer-encoding|expect/.test(name),
      )
      assert.deepEqual(unwanted, [])
    }
  })
})

describe('an answer that makes no sense', () => {
  const page = (contents: string, truncated: boolean): string =>
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>${truncated}</IsTruncated>${contents}</ListBucketResult>`
  const entry = (key: string): string =>
    `<Contents><Key>${prefix}/${key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>`

  it('to a list, broken off or out of order, is an error and not a short list', async () => {
    const store = await open()
    const isList = (request: IncomingMessage): boolean => request.url?.includes('list-type') === true
    fault(isList, { kind: 'answer', status: 200, body: page(entry('a'), true) })
    await assert.rejects(keysOf(store), coded('ERR_STORE', /breaks off/))
    fault(isList, { kind: 'answer', status: 200, body: page(entry('b') + entry('a'), false) })
    await assert.rejects(keysOf(store), coded('ERR_STORE', /a comes after b/))
    fault(isList, { kind: 'answer', status: 200, body: page(entry('a') + entry('b'), false) })
    assert.deepEqual(await keysOf(store), ['a', 'b'])
  })

  it('to a range, the whole object, is an error', async () => {
    const store = await open()
    fault(isGet, { kind: 'answer', status: 200, body: 'all of the object' })
    const range = { start: 4, length: 3 }
    await assert.rejects(collect(store.get('x', { range })), coded('ERR_STORE', /which bytes/))
  })
})

describe('a lost answer', () => {
  it('is not taken for an object of somebody else', async () => {
    const store = await open()
    fault(isPut, { kind: 'lose-answer' }, 1)
    await store.create('m.json', small)
    assert.ok(proxy.requests.filter((line) => line.startsWith('PUT')).length >= 2, 'it was tried again')
    assert.deepEqual(await collect(direct.get('m.json')), small)
    await assert.rejects(store.create('m.json', small), coded('ERR_EXISTS'))
  })

  it('to the completion of an upload is found out', async () => {
    const store = await open()
    fault(isComplete, { kind: 'lose-answer' }, 1)
    await store.put('x', chunked(large))
    assert.deepEqual(await collect(direct.get('x')), large)
    assert.deepEqual(await bucket.openUploads(prefix), [])
  })

  it('that stays lost leaves the object that is there', async () => {
    const store = await open()
    fault(isPut, { kind: 'lose-answer' })
    await store.create('m.json', small)
    assert.deepEqual(await collect(direct.get('m.json')), small)
  })
})

describe('an error', () => {
  it('inside an answer 200 to the completion is an error', async () => {
    const store = await open()
    for (const body of [xmlError('InternalError'), `${xmlError('InternalError')}\n`, '<Nothing/>', '']) {
      fault(isComplete, { kind: 'answer', status: 200, body })
      await assert.rejects(store.put('x', chunked(large)), coded('ERR_STORE'), body)
      await assertNothing()
    }
  })

  const told: [number, string, string, RegExp, RegExp][] = [
    [507, 'InsufficientStorage', 'ERR_STORE_FULL', /full/, /room/],
    [403, 'QuotaExceeded', 'ERR_STORE_FULL', /full/, /room/],
    [403, 'RequestTimeTooSkewed', 'ERR_STORE', /clocks/, /clock/],
    [403, 'AccessDenied', 'ERR_STORE_DENIED', /denied/, /credentials/],
    [501, 'NotImplemented', 'ERR_STORE', /cannot refuse an overwrite/, /If-None-Match/],
    [301, 'PermanentRedirect', 'ERR_STORE', /elsewhere/, /region/],
    [400, 'BadDigest', 'ERR_STORE', /damaged/, /./],
    [503, 'SlowDown', 'ERR_STORE', /fewer requests/, /later/],
  ]
  for (const [status, name, code, message, hint] of told) {
    it(`${status} ${name} is told as ${code}, with what to do`, async () => {
      const store = await open()
      fault(isPut, { kind: 'answer', status, body: xmlError(name) })
      await assert.rejects(store.create('x', small), (error) => {
        coded(code, message)(error)
        assert.match(String(Reflect.get(error as Error, 'hint')), hint)
        return true
      })
      await assertNothing()
    })
  }

  it('409, somebody else is writing: tried again, and settled by what is there in the end', async () => {
    const store = await open()
    const conflict: Fault = { kind: 'answer', status: 409, body: xmlError('ConditionalRequestConflict') }
    fault(isPut, conflict, 2)
    await store.create('x', small)
    fault(isPut, conflict)
    await assert.rejects(store.create('x', small), coded('ERR_EXISTS'))
    await assert.rejects(store.create('y', small), coded('ERR_STORE'))
  })
})

describe('a provider that cannot refuse an overwrite', () => {
  it('is asked before each write, and not sent what it would refuse', async () => {
    const store = await open({ provider: 'backblaze' })
    proxy.decide = (request) =>
      request.headers['if-none-match'] === undefined
        ? undefined
        : { kind: 'answer', status: 501, body: xmlError('NotImplemented') }
    await store.create('x', small)
    await store.put('y', chunked(small))
    await assert.rejects(store.create('x', Buffer.from('other')), coded('ERR_EXISTS'))
    assert.deepEqual(await collect(direct.get('x')), small)
  })
})

describe('a download', () => {
  beforeEach(async () => {
    await direct.put('x', chunked(large))
  })

  it('is taken up again where it broke off', async () => {
    const store = await open({ maxAttempts: 4 })
    fault(isGet, { kind: 'cut-answer', afterBytes: 5 * mebibyte }, 2)
    assert.deepEqual(await collect(store.get('x')), large)
    fault(isGet, { kind: 'cut-answer', afterBytes: 1000 }, 1)
    const range = { start: 6_000_001, length: 3_000_000 }
    const part = await collect(store.get('x', { range }))
    assert.deepEqual(part, large.subarray(range.start, range.start + range.length))
  })

  it('that keeps breaking off is an error, never a short read', async () => {
    const store = await open()
    fault(isGet, { kind: 'cut-answer', afterBytes: mebibyte })
    let sizeBytes = 0
    const reading = (async () => {
      for await (const chunk of store.get('x')) sizeBytes += chunk.length
    })()
    await assert.rejects(reading, coded('ERR_STORE', /cannot get x in s3:.*cut/))
    assert.ok(sizeBytes <= 2 * mebibyte)
  })

  it('that falls silent is given up, one that its reader holds up is not', async () => {
    const store = await open({ requestTimeoutMs: 400 })
    fault(isGet, { kind: 'freeze-answer', afterBytes: mebibyte })
    await assert.rejects(collect(store.get('x')), coded('ERR_STORE', /nothing came for 0.4 seconds/))
    proxy.decide = () => undefined
    let sizeBytes = 0
    let slept = 0
    for await (const chunk of store.get('x')) {
      sizeBytes += chunk.length
      if (slept < 2 && sizeBytes > slept * 5 * mebibyte) {
        slept += 1
        await pause(900)
      }
    }
    assert.equal(sizeBytes, large.length)
    assert.equal(proxy.requests.filter((line) => line.startsWith('GET')).length, 3)
  })

  it('does not go on with another object that took its place', async () => {
    const store = await open({ maxAttempts: 4 })
    fault(isGet, { kind: 'cut-answer', afterBytes: mebibyte }, 1)
    const reading = store.get('x')[Symbol.asyncIterator]()
    await reading.next()
    await direct.delete('x')
    await direct.put('x', chunked(bytesOf(17 * mebibyte, 99)))
    const rest = (async () => {
      while ((await reading.next()).done !== true);
    })()
    await assert.rejects(rest, coded('ERR_NOT_STORED', /replaced/))
  })

  it('stops at once when the signal aborts while the server is silent', async () => {
    const store = await open()
    fault(isGet, { kind: 'freeze-answer', afterBytes: mebibyte })
    const signal = AbortSignal.timeout(300)
    const began = performance.now()
    await assert.rejects(collect(store.get('x', { signal })), coded('ERR_INTERRUPTED'))
    assert.ok(performance.now() - began < 2000)
  })
})
