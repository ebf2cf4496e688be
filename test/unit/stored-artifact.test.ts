/** What a store must show of an artifact before a manifest may name it: its size, and that it is sealed to whom it should be. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { newSessionKey, wrapSessionKey } from '../../src/openpgp/envelope.ts'
import { readRecipient, type Recipient } from '../../src/openpgp/keys.ts'
import { sealStream } from '../../src/pipeline/seal.ts'
import { assertStored, type ExpectedArtifact } from '../../src/repository/stored-artifact.ts'
import { bytesOf, chunked, coded, collect } from '../contract/contract-materials.ts'
import { MemoryStore } from '../contract/memory-store.ts'
import { makeKey, packet, seal } from './openpgp-sealing.ts'

const key = 'backups/koprogo/20261123T020000Z-7f3a9c2e/schema.dump.zst.gpg'

let alice: Recipient
let bob: Recipient
let expected: ExpectedArtifact
let artifact: Buffer
before(async () => {
  const now = new Date()
  ;[alice, bob] = (await Promise.all(
    [0, 1].map(async () =>
      readRecipient(Buffer.from((await makeKey({ now })).publicKey), { now, expired: 'refuse' }),
    ),
  )) as [Recipient, Recipient]
  const sessionKey = newSessionKey()
  const envelope = await wrapSessionKey(sessionKey, [alice, bob])
  artifact = await collect(
    sealStream([bytesOf(400_000)], { sessionKey, envelope }, { algorithm: 'zstd', level: 1 }).artifact,
  )
  expected = { key, bytes: artifact.length, envelope, keyIds: [alice.keyId, bob.keyId] }
})

async function sealedTo(recipients: readonly Recipient[]): Promise<Buffer> {
  const sessionKey = newSessionKey()
  return Buffer.concat([await wrapSessionKey(sessionKey, recipients), seal(bytesOf(400_000), sessionKey)])
}

/** Asks about what a store holds. */
async function asked(bytes: Buffer | undefined, changes: Partial<ExpectedArtifact> = {}): Promise<void> {
  const store = new MemoryStore()
  if (bytes !== undefined) await store.put(key, chunked(bytes))
  await assertStored(store, { ...expected, ...changes })
}

/** As long as the artifact, so that only what is in it can tell. */
const padded = (start: Buffer): Buffer =>
  Buffer.concat([start, Buffer.alloc(artifact.length)]).subarray(0, artifact.length)

test('the artifact as it was sealed is accepted, small or large', async () => {
  await asked(artifact)
  const sessionKey = newSessionKey()
  const envelope = await wrapSessionKey(sessionKey, [alice])
  const small = Buffer.concat([envelope, seal(Buffer.alloc(0), sessionKey)])
  await asked(small, { bytes: small.length, envelope, keyIds: [alice.keyId] })
})

test('nothing, or another size, is ERR_NOT_STORED and says both sizes', async () => {
  await assert.rejects(
    asked(undefined),
    coded('ERR_NOT_STORED', new RegExp(`should have ${artifact.length} bytes in the store and has none$`)),
  )
  for (const bytes of [
    artifact.subarray(0, -1),
    Buffer.concat([artifact, Buffer.alloc(1)]),
    Buffer.alloc(0),
  ]) {
    await assert.rejects(asked(bytes), coded('ERR_NOT_STORED', new RegExp(`has ${bytes.length}$`)))
  }
})

const kept: readonly (readonly [what: string, bytes: () => Buffer | Promise<Buffer>])[] = [
  ['the plain dump', () => padded(Buffer.from('PGDMP\u0001\u000e'))],
  ['zeros', () => Buffer.alloc(artifact.length)],
  ['plain rows', () => padded(Buffer.from('COPY "public"."users" ("id") FROM STDIN;\n1\n'))],
  ['a message to somebody else', async () => padded(await sealedTo([bob]))],
  ['a message to one of them only', async () => padded(await sealedTo([alice]))],
  ['a message to both in another order', async () => padded(await sealedTo([bob, alice]))],
  ['a message to both with another session key', async () => padded(await sealedTo([alice, bob]))],
  ['the envelope with nothing behind it', () => padded(expected.envelope)],
  [
    'the envelope with the plain text behind it',
    () => padded(Buffer.concat([expected.envelope, packet(11, bytesOf(1000))])),
  ],
  [
    'the envelope twice',
    () =>
      padded(
        Buffer.concat([expected.envelope, expected.envelope, artifact.subarray(expected.envelope.length)]),
      ),
  ],
  [
    'a body of another version',
    () => {
      const altered = Buffer.from(artifact)
      // Behind the packet's tag and the one octet of its first partial length.
      altered[expected.envelope.length + 2] = 2
      return altered
    },
  ],
  [
    'one bit of the envelope other',
    () => {
      const altered = Buffer.from(artifact)
      altered[20] = (altered[20] ?? 0) ^ 1
      return altered
    },
  ],
]

for (const [what, bytes] of kept) {
  test(`a store that kept ${what} is found out`, async () => {
    const found = await bytes()
    assert.equal(found.length, artifact.length)
    await assert.rejects(
      asked(found),
      coded('ERR_NOT_STORED', /not sealed to exactly the expected recipients/),
    )
  })
}

test('an envelope for others than the manifest would name is found out', async () => {
  for (const keyIds of [[alice.keyId], [bob.keyId, alice.keyId], [alice.keyId, bob.keyId, alice.keyId], []]) {
    await assert.rejects(asked(artifact, { keyIds }), coded('ERR_NOT_STORED'))
  }
})

test('little is read for it, however large the artifact is', async () => {
  let readBytes = 0
  class Counting extends MemoryStore {
    override async *get(...args: Parameters<MemoryStore['get']>): AsyncGenerator<Buffer> {
      for await (const part of super.get(...args)) {
        readBytes += part.length
        yield part
      }
    }
  }
  const store = new Counting()
  await store.put(key, chunked(artifact))
  await assertStored(store, expected)
  assert.ok(readBytes < 200_000 && readBytes < artifact.length, `${readBytes} bytes`)
})
