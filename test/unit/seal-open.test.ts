/**
 * seal and open, against each other and against node's own zlib and hashes: whatever goes in comes out, the facts are
 * those of the bytes, and of bytes that are not those of the facts nothing comes out.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import { chunkBytes, type Artifact } from '../../src/model/manifest.ts'
import { frameBytes, resolveLevel, type Compression } from '../../src/pipeline/compression.ts'
import { openArtifact } from '../../src/pipeline/open.ts'
import { ArtifactSealer, sealStream, type SealKey } from '../../src/pipeline/seal.ts'
import { bytesOf, chunked, coded, collect } from '../contract/contract-materials.ts'
import { eventually } from '../support/patience.ts'
import { holds } from '../support/property.ts'
import { flip, open } from './openpgp-sealing.ts'

interface SealedHere {
  readonly bytes: Buffer
  readonly artifact: Artifact
  readonly key: SealKey
  readonly algorithm: Compression['algorithm']
}

const compression = fc.constantFrom<Compression>(
  { algorithm: 'zstd', level: 1 },
  { algorithm: 'zstd', level: 3 },
  { algorithm: 'gzip', level: 1 },
  { algorithm: 'gzip', level: 6 },
)
/** Now and then a few bytes, but never only those. */
const sizes = fc
  .tuple(
    fc.array(fc.oneof(fc.nat(40), fc.nat(100_000)), { maxLength: 4 }),
    fc.integer({ min: 5000, max: 200_000 }),
  )
  .map(([some, large]) => [...some, large])

function* cut(bytes: Buffer, by: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, by[turn % by.length] ?? 1)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function seal(
  plain: Buffer,
  options: { by?: readonly number[]; compression?: Compression; envelopeBytes?: number } = {},
): SealedHere {
  const { by = [70_001], compression = resolveLevel('zstd', 'auto'), envelopeBytes = 94 } = options
  const key = { sessionKey: randomBytes(32), envelope: randomBytes(envelopeBytes) }
  const sealer = new ArtifactSealer(key, compression)
  const pieces = [...sealer.begin()]
  for (const part of cut(plain, by)) {
    // The caller may use its memory again at once.
    const lent = Buffer.from(part)
    pieces.push(...sealer.append(lent))
    lent.fill(0)
  }
  const { pieces: last, sealed } = sealer.finish()
  assert.equal(sealed.plainBytes, plain.length)
  const artifact: Artifact = { name: 'rows/0001.sql.zst.gpg', kind: 'rows', ...sealed.facts }
  return { bytes: Buffer.concat([...pieces, ...last]), artifact, key, algorithm: compression.algorithm }
}

function openKey(
  { key, algorithm }: SealedHere,
  plainLimitBytes = 64 * chunkBytes,
): Parameters<typeof openArtifact>[2] {
  return { sessionKey: key.sessionKey, algorithm, plainLimitBytes }
}

function openHere(
  sealed: SealedHere,
  bytes: Buffer,
  by: readonly number[] = [65_536],
): AsyncGenerator<Buffer> {
  return openArtifact(chunked(bytes, by), sealed.artifact, openKey(sealed))
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** The facts computed from the finished bytes, by other code. */
function factsOf(bytes: Buffer, envelopeBytes: number): Omit<Artifact, 'name' | 'kind'> {
  const part = (from: number, to?: number): { bytes: number; sha256: string } => {
    const of = bytes.subarray(from, to)
    return { bytes: of.length, sha256: sha256(of) }
  }
  const starts = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, n) => n * chunkBytes)
  return {
    ...part(0),
    envelope: part(0, envelopeBytes),
    body: part(envelopeBytes),
    chunks: starts.map((start) => sha256(bytes.subarray(start, start + chunkBytes))),
  }
}

async function comesBack(sealed: SealedHere, plain: Buffer, by?: readonly number[]): Promise<void> {
  const { artifact, bytes, key, algorithm } = sealed
  assert.deepEqual(artifact, { ...artifact, ...factsOf(bytes, key.envelope.length) })
  const compressed = open(bytes.subarray(key.envelope.length), key.sessionKey)
  const expanded = algorithm === 'zstd' ? zstdDecompressSync(compressed) : gunzipSync(compressed)
  assert.ok(expanded.equals(plain), 'to node’s own zlib')
  assert.ok((await collect(openHere(sealed, bytes, by))).equals(plain), 'opened here')
}

const plain = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ maxLength: 300 }).map((text) => Buffer.from(text.repeat(50))),
  fc
    .tuple(fc.oneof(fc.nat(50_000), fc.nat(3 * frameBytes)), fc.nat(1000))
    .map(([size, seed]) => bytesOf(size, seed)),
)

test('any bytes in any pieces come back, by zstd and by gzip, and the facts are those of the bytes', async (t) => {
  const property = fc.asyncProperty(
    plain,
    sizes,
    sizes,
    compression,
    async (bytes, by, openedBy, compression) => {
      await comesBack(seal(bytes, { by, compression }), bytes, openedBy)
    },
  )
  await holds(t, property, 60)
})

test('every size around a frame comes back', async () => {
  for (const algorithm of ['zstd', 'gzip'] as const) {
    for (const size of [0, 1, frameBytes - 1, frameBytes, frameBytes + 1, 2 * frameBytes]) {
      const bytes = Buffer.alloc(size, 'row\n')
      await comesBack(seal(bytes, { compression: { algorithm, level: 1 }, by: [frameBytes, 3] }), bytes)
    }
  }
})

test('artifacts that end just before, at and behind a chunk come back', async () => {
  const bytes = bytesOf(chunkBytes + 5000, 3)
  const bodyBytes = seal(bytes).artifact.body.bytes
  for (const off of [-1, 0, 1]) {
    const sealed = seal(bytes, { envelopeBytes: 2 * chunkBytes - bodyBytes + off })
    assert.equal(sealed.bytes.length, 2 * chunkBytes + off)
    assert.equal(sealed.artifact.chunks.length, off > 0 ? 3 : 2)
    await comesBack(sealed, bytes, [1_000_003])
  }
})

test('each part’s place in the frame is told while it is there', () => {
  const frame = Buffer.alloc(frameBytes + 100)
  const sealer = new ArtifactSealer(
    { sessionKey: randomBytes(32), envelope: randomBytes(9) },
    resolveLevel('zstd', 1),
    frame,
  )
  const bytes = bytesOf(2 * frameBytes + 77, 5)
  const seen: Buffer[] = []
  for (const part of cut(bytes, [300_007, 1, frameBytes])) {
    sealer.append(part, (offset, length) => seen.push(Buffer.from(frame.subarray(offset, offset + length))))
  }
  assert.ok(Buffer.concat(seen).equals(bytes))
  assert.equal(sealer.plainBytes, bytes.length)
})

test('no two sealings of the same bytes are the same', () => {
  const bytes = Buffer.from('the same\n')
  const key = { sessionKey: randomBytes(32), envelope: randomBytes(94) }
  const [one, two] = [0, 1].map(() => {
    const sealer = new ArtifactSealer(key, resolveLevel('zstd', 'auto'))
    return Buffer.concat([...sealer.begin(), ...sealer.append(bytes), ...sealer.finish().pieces])
  })
  assert.notDeepEqual(one, two)
})

/** What comes out before the error; the error must be ERR_DIGEST. */
async function refused(sealed: SealedHere, bytes: Buffer, by?: readonly number[]): Promise<Buffer> {
  const out: Buffer[] = []
  await assert.rejects(
    async () => {
      for await (const part of openHere(sealed, bytes, by)) out.push(part)
    },
    coded('ERR_DIGEST', /^rows\/0001\.sql\.zst\.gpg (differs from|is shorter than) what was signed/),
  )
  return Buffer.concat(out)
}

test('a flipped bit anywhere, a cut and anything added: nothing comes out', async (t) => {
  const sealed = fc
    .tuple(fc.uint8Array({ maxLength: 2000 }), compression)
    .map(([bytes, compression]) => seal(Buffer.from(bytes), { compression }))
  const damage = fc.oneof(
    fc.tuple(fc.nat(), fc.nat(7)).map(
      ([at, bit]) =>
        (bytes: Buffer) =>
          flip(bytes, at % bytes.length, bit),
    ),
    fc.nat().map((at) => (bytes: Buffer) => bytes.subarray(0, at % bytes.length)),
    fc
      .uint8Array({ minLength: 1, maxLength: 40 })
      .map((more) => (bytes: Buffer) => Buffer.concat([bytes, more])),
    fc.constant((bytes: Buffer) => Buffer.concat([bytes, bytes])),
  )
  const property = fc.asyncProperty(sealed, damage, sizes, async (one, spoil, by) => {
    assert.equal((await refused(one, spoil(one.bytes), by)).length, 0)
  })
  await holds(t, property, 300)
})

test('of a large artifact nothing comes out from the damaged chunk on', async () => {
  const bytes = bytesOf(2 * chunkBytes + 100_000, 11)
  const sealed = seal(bytes)
  assert.equal(sealed.artifact.chunks.length, 3)
  const chunk = (n: number): Buffer => sealed.bytes.subarray(n * chunkBytes, (n + 1) * chunkBytes)
  const spoiled: readonly (readonly [what: string, bytes: Buffer, whole: number])[] = [
    ['the first bit', flip(sealed.bytes, 0, 7), 0],
    ['the last bit of the first chunk', flip(sealed.bytes, chunkBytes - 1, 0), 0],
    ['the first bit of the second chunk', flip(sealed.bytes, chunkBytes, 7), 1],
    ['the last bit', flip(sealed.bytes, sealed.bytes.length - 1, 0), 2],
    ['cut behind the second chunk', sealed.bytes.subarray(0, 2 * chunkBytes), 2],
    ['cut by a byte', sealed.bytes.subarray(0, -1), 2],
    ['a byte more', Buffer.concat([sealed.bytes, Buffer.alloc(1)]), 2],
    ['two chunks exchanged', Buffer.concat([chunk(1), chunk(0), chunk(2)]), 0],
    ['a chunk doubled', Buffer.concat([chunk(0), chunk(0), chunk(1), chunk(2)]), 1],
    ['a chunk left out', Buffer.concat([chunk(0), chunk(2)]), 1],
  ]
  for (const [what, altered, whole] of spoiled) {
    const out = await refused(sealed, altered, [999_983])
    assert.ok(out.length <= whole * chunkBytes, `${what}: ${out.length} bytes came out`)
    assert.ok(bytes.subarray(0, out.length).equals(out), what)
  }
})

test('another key, or the other compression, gives an error and no bytes', async () => {
  const sealed = seal(Buffer.from('a row\n'.repeat(1000)))
  const other = { ...sealed, key: { ...sealed.key, sessionKey: randomBytes(32) } }
  await assert.rejects(collect(openHere(other, sealed.bytes)), (error) => {
    assert.ok(error instanceof CoffreError && error.exitStatus === 8, String(error))
    return true
  })
  await assert.rejects(
    collect(openHere({ ...sealed, algorithm: 'gzip' }, sealed.bytes)),
    coded('ERR_FORMAT', /gzip/),
  )
})

test('a store that fails half way is what is told, and not what follows from it', async () => {
  const sealed = seal(bytesOf(100_000))
  async function* failing(): AsyncGenerator<Buffer> {
    yield sealed.bytes.subarray(0, 1000)
    throw new CoffreError('ERR_STORE', 'the network is gone')
  }
  const opened = openArtifact(failing(), sealed.artifact, openKey(sealed))
  await assert.rejects(collect(opened), coded('ERR_STORE', /network/))
})

for (const algorithm of ['zstd', 'gzip'] as const) {
  test(`a few kilobytes of ${algorithm} that would become gigabytes stop where the backup is said to end`, async () => {
    const bomb = seal(Buffer.alloc(64 * frameBytes), { compression: { algorithm, level: 6 } })
    assert.ok(bomb.bytes.length < 100_000)
    const limitBytes = 3 * frameBytes
    let given = 0
    const reading = async (): Promise<void> => {
      const opened = openArtifact(chunked(bomb.bytes, [65_536]), bomb.artifact, openKey(bomb, limitBytes))
      for await (const part of opened) given += part.length
    }
    await assert.rejects(reading(), coded('ERR_FORMAT', /decompresses to more than the 3145728 bytes/))
    assert.ok(given <= limitBytes)
    assert.equal((await collect(openHere(bomb, bomb.bytes))).length, 64 * frameBytes)
  })
}

test('whoever stops reading ends the download', async () => {
  const sealed = seal(bytesOf(2 * chunkBytes))
  let ended = false
  async function* stored(): AsyncGenerator<Buffer> {
    try {
      yield* chunked(sealed.bytes, [65_536])
    } finally {
      ended = true
    }
  }
  for await (const part of openArtifact(stored(), sealed.artifact, openKey(sealed))) {
    assert.ok(part.length > 0)
    break
  }
  await eventually('the download ends', () => ended)
})

test('a stream has its facts only once it was read to its end', async () => {
  const key = { sessionKey: randomBytes(32), envelope: randomBytes(94) }
  const bytes = bytesOf(3 * frameBytes)
  const stream = sealStream(chunked(bytes, [500_000]), key, { algorithm: 'gzip', level: 1 })
  const parts: Buffer[] = []
  for await (const part of stream.artifact) {
    assert.equal(stream.sealed(), undefined)
    parts.push(part)
  }
  const sealed = stream.sealed()
  assert.ok(sealed)
  const artifact: Artifact = { name: 'schema.dump.gz.gpg', kind: 'schema', ...sealed.facts }
  await comesBack({ bytes: Buffer.concat(parts), artifact, key, algorithm: 'gzip' }, bytes)
  const broken = sealStream(failingSource(), key, { algorithm: 'gzip', level: 1 })
  await assert.rejects(collect(broken.artifact), /gone/)
  assert.equal(broken.sealed(), undefined)
})

async function* failingSource(): AsyncGenerator<Buffer> {
  yield Buffer.from('half')
  throw new Error('the program is gone')
}
