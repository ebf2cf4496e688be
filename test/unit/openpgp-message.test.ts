/** The stream of an artifact's body, sealed and opened here; the judges are gpg itself and bytes altered by hand. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { createMessage, encrypt, readKey } from 'openpgp'
import { CoffreError } from '../../src/errors.ts'
import { newSessionKey, readEnvelope, unwrapSessionKey, wrapSessionKey } from '../../src/openpgp/envelope.ts'
import { generateKey, readIdentity, readRecipient } from '../../src/openpgp/keys.ts'
import type { Identity, Recipient } from '../../src/openpgp/keys.ts'
import { MessageOpener, MessageSealer } from '../../src/openpgp/message.ts'
import { partBytes } from '../../src/openpgp/packet-writer.ts'
import { GnupgHome } from './openpgp-gnupg.ts'

const sessionKey = randomBytes(32)

function seal(plaintext: Buffer, key: Buffer = sessionKey): Buffer {
  const sealer = new MessageSealer(key)
  return Buffer.concat([...sealer.update(plaintext), ...sealer.final()])
}

/** Opens a body given in pieces of `cutBytes`. */
function open(body: Buffer, key: Buffer = sessionKey, cutBytes = 65_536): Buffer {
  const opener = new MessageOpener(key)
  const out: Buffer[] = []
  for (let at = 0; at < body.length; at += cutBytes)
    out.push(...opener.update(body.subarray(at, at + cutBytes)))
  return Buffer.concat([...out, ...opener.final()])
}

/** A SEIPD version 1 packet around any bytes, with a good MDC: what an attacker with the public key can make too. */
function sealPackets(packets: Buffer, mdcHeader = Buffer.from([0xd3, 0x14])): Buffer {
  const prefix = randomBytes(18)
  prefix.copyWithin(16, 14, 16)
  const hashed = Buffer.concat([prefix, packets, mdcHeader])
  const digest = createHash('sha1').update(hashed).digest()
  const cipher = createCipheriv('aes-256-cfb', sessionKey, Buffer.alloc(16))
  return packet(0xd2, Buffer.concat([Buffer.from([1]), cipher.update(Buffer.concat([hashed, digest]))]))
}

/** A packet with a five-octet length. */
function packet(firstOctet: number, body: Buffer): Buffer {
  const header = Buffer.from([firstOctet, 0xff, 0, 0, 0, 0])
  header.writeUInt32BE(body.length, 2)
  return Buffer.concat([header, body])
}

const literalBody = Buffer.concat([Buffer.from([0x62, 0, 0, 0, 0, 0]), Buffer.from('hello')])
const literal = packet(0xcb, literalBody)

function isRefusal(error: unknown): boolean {
  return error instanceof CoffreError && (error.code === 'ERR_DIGEST' || error.code === 'ERR_FORMAT')
}

// Where the literal packet's parts, and the encrypted packet's, just fill up or begin anew.
const edges = [partBytes - 6, partBytes - 53, partBytes, 2 * partBytes - 6]
const sizes = [
  0,
  1,
  505,
  506,
  511,
  512,
  513,
  ...edges.flatMap((edge) => [edge - 1, edge, edge + 1]),
  5 * 1024 * 1024,
]

describe('what is sealed here', () => {
  const home = new GnupgHome()
  let recipient: Recipient

  before(async () => {
    const now = new Date()
    const request = { name: 'Ana', email: 'ana@example.org', kind: 'ed25519', use: 'encrypt', now } as const
    const key = await generateKey({ ...request, validDays: undefined, passphrase: undefined })
    recipient = await readRecipient(Buffer.from(key.publicKey), { now, expired: 'refuse' })
    home.importKey(key.secretKey)
  })
  after(() => home.close())

  test('opens with gpg, byte for byte, at every size where the framing changes', async () => {
    const envelope = await wrapSessionKey(sessionKey, [recipient])
    for (const sizeBytes of sizes) {
      const plaintext = randomBytes(sizeBytes)
      const artifact = Buffer.concat([envelope, seal(plaintext)])
      assert.ok(home.succeed(['--decrypt'], artifact).equals(plaintext), `${sizeBytes} bytes`)
      assert.ok(open(artifact.subarray(envelope.length)).equals(plaintext), `${sizeBytes} bytes, opened here`)
    }
  })

  test('is one literal packet of format b without name or date in a version 1 packet, as gpg lists it', async () => {
    const envelope = await wrapSessionKey(sessionKey, [recipient])
    const listing = home.succeed(
      ['--list-packets', '--verbose'],
      Buffer.concat([envelope, seal(randomBytes(10_000))]),
    )
    const packets = listing
      .toString()
      .split('\n')
      .filter((line) => line.startsWith(':'))
    assert.deepEqual(
      packets.map((line) => line.replace(/keyid.*/, '').trim()),
      [':pubkey enc packet: version 3, algo 18,', ':encrypted data packet:', ':literal data packet:'],
    )
    assert.match(listing.toString(), /mdc_method: 2/)
    assert.match(listing.toString(), /mode b \(62\), created 0, name=""/)
  })
})

test('a body opens whatever the sizes and however it is cut', (t) => {
  const numRuns = 60
  const seed = Date.now() % 2 ** 31
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(3000), fc.nat(600_000)), { maxLength: 5 }),
      fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 700_000 })),
      (inputSizes, cutBytes) => {
        const inputs = inputSizes.map((size) => randomBytes(size))
        const sealer = new MessageSealer(sessionKey)
        const pieces = inputs.flatMap((input) => sealer.update(input))
        const body = Buffer.concat([...pieces, ...sealer.final()])
        assert.ok(open(body, sessionKey, Math.max(cutBytes, body.length >> 12)).equals(Buffer.concat(inputs)))
      },
    ),
    { numRuns, seed, verbose: 1 },
  )
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
  assert.ok(open(Buffer.concat(pieces)).equals(Buffer.concat(expected)))
})

test('two messages of the same bytes under the same key have nothing in common', () => {
  const plaintext = Buffer.alloc(4096)
  const [first, second] = [seal(plaintext), seal(plaintext)]
  for (let at = 16; at + 16 < first.length; at += 16) {
    assert.equal(second.includes(first.subarray(at, at + 16)), false)
  }
})

describe('what others write', () => {
  const home = new GnupgHome()
  let identity: Identity
  let key: Awaited<ReturnType<typeof generateKey>>
  let keyFile: string

  before(async () => {
    const request = { name: 'Ana', email: 'ana@example.org', kind: 'ed25519', use: 'encrypt' } as const
    key = await generateKey({ ...request, validDays: undefined, passphrase: undefined, now: new Date() })
    identity = await readIdentity(Buffer.from(key.secretKey), undefined)
    keyFile = join(home.path, 'ana.asc')
    writeFileSync(keyFile, key.publicKey)
  })
  after(() => home.close())

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
  assert.equal(open(sealPackets(literal)).toString(), 'hello')
  assert.equal(
    open(sealPackets(Buffer.concat([Buffer.from([0xac, literalBody.length]), literalBody]))).toString(),
    'hello',
  )
  const named = Buffer.concat([Buffer.from([0xcb, 0xe9, 0x62, 3]), Buffer.from('abc'), Buffer.alloc(507, 1)])
  const parts = Buffer.concat([named, Buffer.from([0xe0, 2, 0xe0, 3, 0xe0, 4, 0])])
  const expected = Buffer.concat([Buffer.alloc(503, 1), Buffer.from([2, 3, 4])])
  for (const cutBytes of [1, 2, 3, 700])
    assert.ok(open(sealPackets(parts), sessionKey, cutBytes).equals(expected))
})

describe('never silence', () => {
  test('any flipped bit of a short body is found', () => {
    const body = seal(randomBytes(70))
    for (let bit = 0; bit < body.length * 8; bit++) {
      const altered = Buffer.from(body)
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => open(altered), isRefusal, `bit ${bit & 7} of byte ${bit >> 3}`)
    }
  })

  test('any flipped bit of a body in parts is found', (t) => {
    const body = seal(randomBytes(3 * partBytes))
    const headers = [0, 1, partBytes + 2, 2 * partBytes + 3, 3 * partBytes + 4]
    const numRuns = 60
    const seed = Date.now() % 2 ** 31
    t.diagnostic(`seed ${seed}, cases ${numRuns}`)
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...headers), fc.nat(body.length - 1)), fc.nat(7), (at, bit) => {
        const altered = Buffer.from(body)
        altered[at] = (altered[at] ?? 0) ^ (1 << bit)
        assert.throws(() => open(altered), isRefusal)
      }),
      { numRuns, seed, verbose: 1 },
    )
  })

  test('a body cut short anywhere is found', () => {
    const body = seal(randomBytes(70))
    for (let length = 0; length < body.length; length++) {
      assert.throws(() => open(body.subarray(0, length)), { code: 'ERR_DIGEST' }, `${length} bytes`)
    }
  })

  test('a body cut short around each part, or ended neatly after one, is found', () => {
    const body = seal(randomBytes(2 * partBytes))
    for (const boundary of [2, partBytes + 2, 2 * partBytes + 3]) {
      for (const length of [boundary - 1, boundary, boundary + 1]) {
        assert.throws(() => open(body.subarray(0, length)), { code: 'ERR_DIGEST' }, `${length} bytes`)
      }
    }
    const neat = Buffer.concat([body.subarray(0, partBytes + 2), Buffer.from([0])])
    assert.throws(() => open(neat), { code: 'ERR_DIGEST', message: /no modification detection code/ })
  })

  test('a wrong session key is found in the first bytes', () => {
    const body = seal(randomBytes(1000))
    let refusals = 0
    for (let run = 0; run < 4; run++) {
      try {
        new MessageOpener(newSessionKey()).update(body.subarray(0, 40))
      } catch (error) {
        assert.ok(isRefusal(error))
        refusals++
      }
    }
    assert.ok(refusals >= 3, 'the check lets one wrong key in 65536 through to the MDC')
  })

  test('a missing or wrong MDC is found', () => {
    const wrongHash = Buffer.from(sealPackets(literal))
    wrongHash[wrongHash.length - 1] = (wrongHash.at(-1) ?? 0) ^ 1
    assert.throws(() => open(wrongHash), { code: 'ERR_DIGEST', message: /does not match its modification/ })
    const body = sealPackets(literal)
    const without = packet(0xd2, body.subarray(6, -22))
    assert.throws(() => open(without), { code: 'ERR_DIGEST', message: /no modification detection code/ })
    assert.throws(() => open(sealPackets(literal, Buffer.from([0xd4, 0x14]))), { code: 'ERR_FORMAT' })
  })
})

describe('what is no body of coffre is refused', () => {
  const encrypted = seal(Buffer.from('hello'))
  const refusedBodies: readonly (readonly [string, Buffer, RegExp])[] = [
    ['a version 2 (AEAD) packet', packet(0xd2, Buffer.from([2, 9, 2, 6])), /version 2, not 1/],
    ['encrypted data without integrity protection', packet(0xc9, Buffer.alloc(40)), /tag 9\) where/],
    [
      'the same with an old header',
      Buffer.concat([Buffer.from([0xa4, 40]), Buffer.alloc(40)]),
      /tag 9\) where/,
    ],
    ['AEAD encrypted data of LibrePGP', packet(0xd4, Buffer.alloc(40)), /tag 20\) where/],
    ['a plain literal packet', literal, /tag 11\) where/],
    ['an envelope before it', packet(0xc1, Buffer.alloc(40)), /tag 1\) where/],
    ['text', Buffer.from('hello'), /no OpenPGP packet begins at the start of the body/],
    [
      'a byte after the packet',
      Buffer.concat([encrypted, Buffer.from([0])]),
      /bytes follow the encrypted data/,
    ],
    ['a second message after it', Buffer.concat([encrypted, encrypted]), /bytes follow the encrypted data/],
    [
      'a first part under 512 bytes',
      Buffer.concat([Buffer.from([0xd2, 0xe8]), Buffer.alloc(300)]),
      /under 512/,
    ],
    ['a compressed packet inside', sealPackets(packet(0xc8, Buffer.from([0]))), /tag 8\) inside/],
    ['a signed message inside', sealPackets(packet(0xc4, Buffer.alloc(13))), /tag 4\) inside/],
    [
      'a second literal packet inside',
      sealPackets(Buffer.concat([literal, literal])),
      /follows the literal data/,
    ],
    [
      'a padding packet inside',
      sealPackets(Buffer.concat([literal, packet(0xd5, Buffer.alloc(1))])),
      /follows/,
    ],
    [
      'literal data of unknown length',
      sealPackets(Buffer.concat([Buffer.from([0xaf]), literalBody])),
      /indeterminate/,
    ],
    [
      'a literal packet without its header',
      sealPackets(packet(0xcb, Buffer.from([0x62, 0]))),
      /its own header/,
    ],
  ]
  for (const [name, body, message] of refusedBodies) {
    test(name, () => {
      for (const cutBytes of [1, 100_000]) {
        assert.throws(() => open(body, sessionKey, cutBytes), { code: 'ERR_FORMAT', message })
      }
    })
  }
})
