/**
 * What every object store must do, whatever it stands on: the same tests for memory, a folder and S3.
 * A store that passes may be put under the repository.
 */
/* oxlint-disable typescript/no-floating-promises -- node:test itself waits for what it() returns */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/storage/object-store.ts'
import {
  bytesOf,
  chunked,
  coded,
  collect,
  halfThen,
  keysOf,
  mebibyte,
  sha256,
  type StoreUnderTest,
} from './contract-materials.ts'

export type { StoreUnderTest } from './contract-materials.ts'

/** Runs the contract on one kind of store; `makeStore` is called once for each test. */
export function describeObjectStore(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`the object store contract, ${name}`, () => {
    let under: StoreUnderTest | undefined
    let store: ObjectStore

    beforeEach(async () => {
      under = await makeStore()
      store = under.store
    })
    afterEach(async () => {
      await under?.close()
      under = undefined
    })

    describe('reading and writing', () => readingAndWriting(() => store))
    describe('writes that fail', () =>
      failingWrites(
        () => store,
        async () => (await under?.leftovers()) ?? ['?'],
      ))
    describe('create', () => creating(() => store))
    describe('list and delete', () => listingAndDeleting(() => store))
    describe('keys', () => keys(() => store))
  })
}

function readingAndWriting(store: () => ObjectStore): void {
  for (const sizeBytes of [0, 1, 5 * mebibyte + 1]) {
    it(`gives back the ${sizeBytes} bytes it was given`, async () => {
      const bytes = bytesOf(sizeBytes)
      assert.deepEqual(await store().put('a/b.gpg', chunked(bytes)), { sizeBytes })
      const head = await store().head('a/b.gpg')
      assert.equal(head?.sizeBytes, sizeBytes)
      assert.equal(sha256(await collect(store().get('a/b.gpg'))), sha256(bytes))
    })
  }

  it('gives back 20 MiB that came in chunks of odd sizes, empty ones among them', async () => {
    const bytes = bytesOf(20 * mebibyte, 7)
    const sizes = [1, 65_537, 3, 1_048_575, 4096, 262_147, 13]
    async function* withEmptyOnes(): AsyncGenerator<Buffer> {
      for await (const chunk of chunked(bytes, sizes)) {
        yield chunk
        if (chunk.length === 3) yield Buffer.alloc(0)
      }
    }
    assert.deepEqual(await store().put('large.gpg', withEmptyOnes()), { sizeBytes: bytes.length })
    assert.equal(sha256(await collect(store().get('large.gpg'))), sha256(bytes))
  })

  it('does not mind that the source uses its buffer again', async () => {
    const shared = Buffer.alloc(70_000)
    async function* reusing(): AsyncGenerator<Buffer> {
      for (let turn = 0; turn < 100; turn += 1) yield shared.fill(turn)
      shared.fill(255)
    }
    await store().put('reused', reusing())
    const stored = await collect(store().get('reused'))
    for (let turn = 0; turn < 100; turn += 1) assert.equal(stored[turn * 70_000 + 69_999], turn)
    assert.equal(stored.length, 7_000_000)
  })

  it('reads any range', async (t) => {
    const bytes = bytesOf(100_000)
    await store().put('ranges', chunked(bytes))
    const seed = Date.now() % 2 ** 31
    const numRuns = 40
    t.diagnostic(`seed ${seed}, cases ${numRuns}`)
    const property = fc.asyncProperty(
      fc.nat(99_999),
      fc.integer({ min: 1, max: 120_000 }),
      async (start, length) => {
        const part = await collect(store().get('ranges', { range: { start, length } }))
        assert.ok(part.equals(bytes.subarray(start, start + length)), `${part.length} bytes from ${start}`)
      },
    )
    await fc.assert(property, { numRuns, seed, verbose: fc.VerbosityLevel.Verbose })
  })

  it('gives what there is when a range reaches past the end, which may be nothing', async () => {
    const bytes = bytesOf(10)
    await store().put('ten', chunked(bytes))
    await store().put('none', chunked(Buffer.alloc(0)))
    const read = (key: string, start: number) => collect(store().get(key, { range: { start, length: 100 } }))
    assert.deepEqual(await read('ten', 4), bytes.subarray(4))
    assert.equal((await read('ten', 10)).length, 0)
    assert.equal((await read('ten', 1000)).length, 0)
    assert.equal((await read('none', 0)).length, 0)
  })

  it('says that a missing object is missing', async () => {
    assert.equal(await store().head('no/such'), undefined)
    await assert.rejects(collect(store().get('no/such')), coded('ERR_STORE', /no such object/))
  })

  it('can be left in the middle of a read, and read again', async () => {
    const bytes = bytesOf(6 * mebibyte)
    await store().put('left', chunked(bytes))
    for await (const chunk of store().get('left')) {
      assert.ok(chunk.length > 0)
      break
    }
    assert.equal((await collect(store().get('left'))).length, bytes.length)
  })

  it('stops a read when the signal aborts', async () => {
    await store().put('stopped', chunked(bytesOf(6 * mebibyte)))
    const controller = new AbortController()
    const reading = (async () => {
      for await (const chunk of store().get('stopped', { signal: controller.signal })) {
        assert.ok(chunk.length > 0)
        controller.abort()
      }
    })()
    await assert.rejects(reading, coded('ERR_INTERRUPTED'))
  })

  it('pulls the source one chunk at a time', async () => {
    let pulls = 0
    let pulling = 0
    const source: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          pulling += 1
          assert.equal(pulling, 1, 'pulled again before the chunk was there')
          await new Promise((resolve) => setTimeout(resolve, 1))
          pulling -= 1
          pulls += 1
          return pulls > 30
            ? { done: true, value: undefined }
            : { done: false, value: bytesOf(500_000, pulls) }
        },
      }),
    }
    assert.deepEqual(await store().put('pulled', source), { sizeBytes: 15_000_000 })
    assert.equal(pulls, 31)
  })
}

function failingWrites(store: () => ObjectStore, leftovers: () => Promise<readonly string[]>): void {
  const sizes = { small: 2 * mebibyte, large: 24 * mebibyte }

  async function assertNothing(): Promise<void> {
    assert.equal(await store().head('f/x'), undefined)
    assert.deepEqual(await keysOf(store()), [])
  }

  for (const [size, sizeBytes] of Object.entries(sizes)) {
    it(`shows nothing of a ${size} object until it is whole`, async () => {
      const bytes = bytesOf(sizeBytes)
      await store().put('f/x', halfThen(bytes, assertNothing))
      assert.deepEqual(await keysOf(store()), ['f/x'])
      assert.deepEqual(await leftovers(), [])
    })

    it(`leaves nothing of a ${size} object whose source fails half way, and throws the source's own error`, async () => {
      const failure = new Error('the source failed')
      const source = halfThen(bytesOf(sizeBytes), () => Promise.reject(failure))
      await assert.rejects(store().put('f/x', source), (error) => error === failure)
      await assertNothing()
      assert.deepEqual(await leftovers(), [])
    })

    it(`leaves nothing of a ${size} object when the signal aborts while the source is silent`, async () => {
      const controller = new AbortController()
      const silent = halfThen(bytesOf(sizeBytes), () => {
        setTimeout(() => controller.abort(), 20)
        return new Promise<void>(() => {})
      })
      const putting = store().put('f/x', silent, { signal: controller.signal })
      await assert.rejects(putting, coded('ERR_INTERRUPTED'))
      await assertNothing()
      assert.deepEqual(await leftovers(), [])
    })
  }

  it('throws the CoffreError that the signal was aborted with', async () => {
    const reason = new CoffreError('ERR_POSTGRES', 'the other lane failed')
    const source = halfThen(bytesOf(sizes.small), async () => controller.abort(reason))
    const controller = new AbortController()
    await assert.rejects(
      store().put('f/x', source, { signal: controller.signal }),
      (error) => error === reason,
    )
    await assertNothing()
  })

  it('does nothing when the signal is aborted already', async () => {
    const options = { signal: AbortSignal.abort() }
    const interrupted = coded('ERR_INTERRUPTED')
    await assert.rejects(store().put('f/x', chunked(bytesOf(5)), options), interrupted)
    await assert.rejects(store().create('f/x', bytesOf(5), options), interrupted)
    await assert.rejects(collect(store().get('f/x', options)), interrupted)
    await assert.rejects(store().head('f/x', options), interrupted)
    await assert.rejects(store().delete('f/x', options), interrupted)
    await assertNothing()
  })

  it('lets the source finish when it stops pulling', async () => {
    const controller = new AbortController()
    let finished = false
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) {
          yield bytesOf(10_000)
          controller.abort()
        }
      } finally {
        finished = true
      }
    }
    await assert.rejects(
      store().put('f/x', source(), { signal: controller.signal }),
      coded('ERR_INTERRUPTED'),
    )
    assert.ok(finished)
  })
}

function creating(store: () => ObjectStore): void {
  it('lets exactly one of eight win, and keeps what the winner wrote', async () => {
    for (let round = 0; round < 5; round += 1) {
      const key = `leases/${round}.json`
      const contents = Array.from({ length: 8 }, (_, turn) => bytesOf(1000, turn + 1))
      const results = await Promise.allSettled(contents.map((content) => store().create(key, content)))
      const winners = contents.filter((_, turn) => results[turn]?.status === 'fulfilled')
      assert.equal(winners.length, 1, `round ${round}: ${winners.length} won`)
      for (const result of results) {
        if (result.status === 'rejected') coded('ERR_EXISTS')(result.reason)
      }
      assert.deepEqual(await collect(store().get(key)), winners[0])
    }
  })

  it('refuses a key that is there, and leaves what is there', async () => {
    await store().put('m.json', chunked(Buffer.from('first')))
    await assert.rejects(store().create('m.json', Buffer.from('second')), coded('ERR_EXISTS', /m\.json/))
    assert.equal((await collect(store().get('m.json'))).toString(), 'first')
  })

  it('stores an empty object', async () => {
    await store().create('empty', Buffer.alloc(0))
    assert.equal((await store().head('empty'))?.sizeBytes, 0)
  })

  it('takes a key again after its object was deleted', async () => {
    await store().create('again', Buffer.from('1'))
    await store().delete('again')
    await store().create('again', Buffer.from('2'))
    assert.equal((await collect(store().get('again'))).toString(), '2')
  })
}

function listingAndDeleting(store: () => ObjectStore): void {
  it('lists by the byte order of the whole key, folder by folder', async () => {
    const keys = [
      'a/b',
      'a-b',
      'a.b',
      'a/b0/c',
      'a/b.c',
      'a0',
      'aB',
      'Z',
      'ab/c',
      'a/b-c/d',
      'a_b',
      'z/1/2/3/4',
    ]
    for (const key of keys) await store().create(key, Buffer.from(key))
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    assert.deepEqual(await keysOf(store()), sorted)
    assert.deepEqual(await keysOf(store(), 'a/'), ['a/b', 'a/b-c/d', 'a/b.c', 'a/b0/c'])
    assert.deepEqual(await keysOf(store(), 'z/1/2/'), ['z/1/2/3/4'])
    assert.deepEqual(await keysOf(store(), 'none/'), [])
    for await (const object of store().list('')) assert.equal(object.sizeBytes, object.key.length)
  })

  it('lists more than a thousand objects, each once', async () => {
    const keys = Array.from({ length: 1100 }, (_, turn) => `many/${String(turn).padStart(4, '0')}/x`)
    const waiting = keys.toReversed()
    const worker = async (): Promise<void> => {
      for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
        await store().create(key, Buffer.from(key))
      }
    }
    await Promise.all(Array.from({ length: 16 }, worker))
    assert.deepEqual(await keysOf(store(), 'many/'), keys)
  })

  it('deletes one object, and a missing one without complaint', async () => {
    await store().create('d/1/x', Buffer.from('1'))
    await store().create('d/2/x', Buffer.from('2'))
    await store().delete('d/1/x')
    await store().delete('d/1/x')
    await store().delete('never/was')
    assert.equal(await store().head('d/1/x'), undefined)
    assert.deepEqual(await keysOf(store()), ['d/2/x'])
  })

  it('does not take a folder for an object', async () => {
    await store().create('folder/x', Buffer.from('x'))
    assert.equal(await store().head('folder'), undefined)
    await assert.rejects(collect(store().get('folder')), coded('ERR_STORE'))
    await store().delete('folder')
    assert.deepEqual(await keysOf(store()), ['folder/x'])
  })
}

function keys(store: () => ObjectStore): void {
  const bad = [
    '',
    '.',
    '..',
    '../x',
    '/x',
    'x/',
    'a//b',
    'a/../b',
    '.hidden',
    'a/.hidden',
    'a\\b',
    'a b',
    'a\0b',
    'é',
    'a\n',
  ]
  const long = ['x'.repeat(256), Array.from({ length: 100 }, () => '123456789').join('/')]

  for (const key of [...bad, ...long]) {
    it(`refuses the key ${JSON.stringify(key.slice(0, 20))}, ${key.length} long, everywhere`, async () => {
      const refused = coded('ERR_FORMAT')
      await assert.rejects(store().put(key, chunked(Buffer.from('x'))), refused)
      await assert.rejects(store().create(key, Buffer.from('x')), refused)
      await assert.rejects(collect(store().get(key)), refused)
      await assert.rejects(store().head(key), refused)
      await assert.rejects(store().delete(key), refused)
      if (key !== '') await assert.rejects(keysOf(store(), `${key}/`), refused)
      assert.deepEqual(await keysOf(store()), [])
    })
  }

  it('refuses a folder that does not end in a slash', async () => {
    await assert.rejects(keysOf(store(), 'backups'), coded('ERR_FORMAT'))
  })

  it('takes a key of 900 bytes, in segments of up to 255', async () => {
    const key = [255, 255, 255, 132].map((length) => 'k'.repeat(length)).join('/')
    assert.equal(key.length, 900)
    await store().create(key, Buffer.from('x'))
    assert.deepEqual(await keysOf(store()), [key])
    await store().delete(key)
  })
}
