/** The stream of an artifact's body: what is sealed here opens in gpg, and what gpg and others write opens here. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as fc from 'fast-check'
import { createMessage, encrypt, readKey } from 'openpgp'
import { readEnvelope, unwrapSessionKey, wrapSessionKey } from '../../src/openpgp/envelope.ts'
import { readIdentity, readRecipient } from '../../src/openpgp/keys.ts'
import type { GeneratedKey, Identity } from '../../src/openpgp/keys.ts'
import { MessageSealer } from '../../src/openpgp/message.ts'
import { partBytes } from '../../src/openpgp/packet-writer.ts'
import { GnupgHome } from './openpgp-gnupg.ts'
import { holds, makeKey, open, packet, seal, sealPackets } from './openpgp-sealing.ts'

const sessionKey = randomBytes(32)
const home = new GnupgHome()
let key: GeneratedKey
let keyFile: string
let identity: Identity
let envelope: Buffer

before(async () => {
  const now = new Date()
  key = await makeKey({ now })
  home.importKey(key.secretKey)
  keyFile = join(home.path, 'ana.asc')
  writeFileSync(keyFile, key.publicKey)
  identity = await readIdentity(Buffer.from(key.secretKey), undefined)
  const recipient = await readRecipient(Buffer.from(key.publicKey), { now, expired: 'refuse' })
  envelope = await wrapSessionKey(sessionKey, [recipient])
})
after(() => home.close())

/** What gpg makes of a body behind the envelope. */
function gpgDecrypt(body: Buffer): Buffer {
  return home.succeed(['--decrypt'], Buffer.concat([envelope, body]))
}

/** Where the literal packet's parts, and the encrypted packet's, just fill up or begin anew. */
const edges = [partBytes - 6, partBytes - 53, partBytes, 2 * partBytes - 6]
const besideEdges = edges.flatMap((edge) => [edge - 1, edge, edge + 1])
const sizesBytes = [0, 1, 505, 506, 511, 512, 513, ...besideEdges, 5 * 1024 * 1024]

/** Sizes of inputs, which give messages of no part, one, and several. */
const inputSizes = fc.array(fc.oneof(fc.nat(3000), fc.nat(600_000)), { maxLength: 5 })

function sealInputs(inputs: readonly Buffer[]): Buffer {
  const sealer = new MessageSealer(sessionKey)
  return Buffer.concat([...inputs.flatMap((input) => sealer.update(input)), ...sealer.final()])
}

describe('what is sealed here', () => {
  test('opens with gpg, byte for byte, at every size where the framing changes', () => {
    for (const sizeBytes of sizesBytes) {
      const plaintext = randomBytes(sizeBytes)
      const body = seal(plaintext, sessionKey)
      assert.ok(gpgDecrypt(body).equals(plaintext), `${sizeBytes} bytes`)
      assert.ok(open(body, sessionKey).equals(plaintext), `${sizeBytes} bytes, opened here`)
    }
  })

  test('opens with gpg however the plaintext comes', (t) => {
    const property = fc.property(inputSizes, (sizes) => {
      const inputs = sizes.map((size) => randomBytes(size))
      assert.ok(gpgDecrypt(sealInputs(inputs)).equals(Buffer.concat(inputs)))
    })
    holds(t, property, 15)
  })

  test('opens here however the plaintext comes and the body is cut', (t) => {
    const cuts = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 700_000 }))
    const property = fc.property(inputSizes, cuts, (sizes, cutBytes) => {
      const inputs = sizes.map((size) => randomBytes(size))
      const body = sealInputs(inputs)
      // Long bodies are cut into 4096 pieces at most, for time's sake.
      assert.ok(open(body, sessionKey, Math.max(cutBytes, body.length >> 12)).equals(Buffer.concat(inputs)))
    })
    holds(t, property, 60)
  })

  test('is one literal packet of format b, without name or date, in a version 1 packet, as gpg lists it', () => {
    const artifact = Buffer.concat([envelope, seal(randomBytes(10_000), sessionKey)])
    const listing = home.succeed(['--list-packets', '--verbose'], artifact).toString()
    assert.deepEqual(listing.match(/^:.*packet:/gm), [
      ':pubkey enc packet:',
      ':encrypted data packet:',
      ':literal data packet:',
    ])
    assert.match(listing, /mdc_method: 2/)
    assert.match(listing, /mode b \(62\), created 0, name=""/)
  })

  test('the caller may reuse the memory of what it gave, and send away what it got', () => {
    const memory = Buffer.alloc(100_000)
    const sealer = new MessageSealer(sessionKey)
    const expected: Buffer[] = []
    const pieces: Buffer[] = []
    const keep = (made: readonly Buffer<ArrayBuffer>[]): void => {
      for (const piece of made) {
        assert.equal(piece.byteLength, piece.buffer.byteLength, 'a piece covers the whole of its ArrayBuffer')
        pieces.push(Buffer.from(structuredClone(piece, { transfer: [piece.buffer] })))
      }
    }
    for (let fill = 1; fill < 12; fill++) {
      memory.fill(fill)
      expected.push(Buffer.from(memory))
      keep(sealer.update(memory))
      memory.fill(0)
    }
    keep(sealer.final())
    assert.ok(open(Buffer.concat(pieces), sessionKey).equals(Buffer.concat(expected)))
  })

  test('two messages of the same bytes under the same key have nothing in common', () => {
    const plaintext = Buffer.alloc(4096)
    const [first, second] = [seal(plaintext, sessionKey), seal(plaintext, sessionKey)]
    for (let at = 16; at + 16 < first.length; at += 16) {
      assert.equal(second.includes(first.subarray(at, at + 16)), false)
    }
  })
})

describe('what others write', () => {
  async function openArtifact(artifact: Buffer): Promise<Buffer> {
    const { bytes } = readEnvelope(artifact)
    return open(
      artifact.subarray(bytes),
      await unwrapSessionKey(artifact.subarray(0, bytes), identity),
      10_007,
    )
  }

  function gpgEncrypt(plaintext: Buffer, ...options: readonly string[]): Buffer {
    return home.succeed(
      ['--trust-model', 'always', '--recipient-file', keyFile, ...options, '--encrypt'],
      plaintext,
    )
  }

  test('gpg writing from a pipe opens here', async () => {
    for (const sizeBytes of [0, 1, 511, 512, 8192, 100_000, 5 * 1024 * 1024]) {
      const plaintext = randomBytes(sizeBytes)
      assert.ok(
        (await openArtifact(gpgEncrypt(plaintext, '--compress-algo', 'none'))).equals(plaintext),
        `${sizeBytes}`,
      )
    }
  })

  test('gpg writing from a file, with its name and a length known beforehand, opens here', async () => {
    const plaintext = randomBytes(70_000)
    const file = join(home.path, 'a file with a name.bin')
    writeFileSync(file, plaintext)
    const options = ['--trust-model', 'always', '--recipient-file', keyFile, '--compress-algo', 'none']
    const artifact = home.succeed([...options, '--output', '-', '--encrypt', file])
    assert.ok((await openArtifact(artifact)).equals(plaintext))
  })

  test('the OpenPGP library opens here', async () => {
    const plaintext = randomBytes(70_000)
    const message = await createMessage({ binary: plaintext })
    const encryptionKeys = await readKey({ armoredKey: key.publicKey })
    assert.ok(
      (await openArtifact(Buffer.from(await encrypt({ message, encryptionKeys, format: 'binary' })))).equals(
        plaintext,
      ),
    )
  })

  test('gpg compressing inside is refused, saying how to do without', async () => {
    await assert.rejects(openArtifact(gpgEncrypt(Buffer.alloc(1000), '--compress-algo', 'zlib')), {
      code: 'ERR_FORMAT',
      message: /compressed data packet \(tag 8\) inside/,
      hint: /--compress-algo none/,
    })
  })

  test('gpg writing text is refused: a reader would have to change its line ends', async () => {
    await assert.rejects(
      openArtifact(gpgEncrypt(Buffer.from('a\nb\n'), '--textmode', '--compress-algo', 'none')),
      {
        code: 'ERR_FORMAT',
        message: /format 0x74, not binary/,
      },
    )
  })
})

test('odd but legal framing opens: old headers, parts of one byte, a last part of none', () => {
  const fields = Buffer.from([0x62, 0, 0, 0, 0, 0])
  const body = Buffer.concat([fields, Buffer.from('hello')])
  assert.equal(open(sealPackets(packet(11, body), sessionKey), sessionKey).toString(), 'hello')
  const oldHeader = Buffer.from([0xac, body.length])
  assert.equal(
    open(sealPackets(Buffer.concat([oldHeader, body]), sessionKey), sessionKey).toString(),
    'hello',
  )
  const named = Buffer.concat([Buffer.from([0xcb, 0xe9, 0x62, 3]), Buffer.from('abc'), Buffer.alloc(507, 1)])
  const inParts = sealPackets(Buffer.concat([named, Buffer.from([0xe0, 2, 0xe0, 3, 0xe0, 4, 0])]), sessionKey)
  const expected = Buffer.concat([Buffer.alloc(503, 1), Buffer.from([2, 3, 4])])
  for (const cutBytes of [1, 2, 3, 700]) assert.ok(open(inParts, sessionKey, cutBytes).equals(expected))
})
