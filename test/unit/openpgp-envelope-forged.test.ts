/** What must never pass for an envelope: wrong packets, padding, and messages hidden where only keys may be. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import {
  envelopeHeadLimitBytes,
  newSessionKey,
  readDetachedEnvelope,
  readEnvelope,
  unwrapSessionKey,
  wrapSessionKey,
} from '../../src/openpgp/envelope.ts'
import { readIdentity, readRecipient } from '../../src/openpgp/keys.ts'
import type { Identity, Recipient } from '../../src/openpgp/keys.ts'
import { GnupgHome } from './openpgp-gnupg.ts'
import { holds, makeKey, oldPacket, open, packet, seal } from './openpgp-sealing.ts'

const home = new GnupgHome()
const body = seal(Buffer.from('hello'), newSessionKey())
let ana: Recipient
let identity: Identity
let ecdh: Buffer
let rsa: Buffer

before(async () => {
  const [now, ed25519, rsa4096] = [new Date(), await makeKey(), await makeKey({ kind: 'rsa4096' })]
  home.importKey(ed25519.secretKey)
  identity = await readIdentity(Buffer.from(ed25519.secretKey), undefined)
  ana = await readRecipient(Buffer.from(ed25519.publicKey), { now, expired: 'refuse' })
  const bruno = await readRecipient(Buffer.from(rsa4096.publicKey), { now, expired: 'refuse' })
  ecdh = await wrapSessionKey(newSessionKey(), [ana])
  rsa = await wrapSessionKey(newSessionKey(), [bruno])
})
after(() => home.close())

describe('what is no envelope', () => {
  test('is refused by what was found, and where', () => {
    const version6 = Buffer.from(ecdh)
    version6[2] = 6
    const x25519 = Buffer.from(ecdh)
    x25519[11] = 25
    const padded = oldPacket(1, Buffer.concat([ecdh.subarray(2), Buffer.from([0])]))
    const rsaPadded = oldPacket(1, Buffer.concat([rsa.subarray(3), Buffer.from([0])]))
    const seipd2 = Buffer.from([0xd2, 20, 2, ...Buffer.alloc(19)])
    const cases: readonly (readonly [string, Buffer, RegExp])[] = [
      ['nothing', Buffer.alloc(0), /nothing at byte 0/],
      ['no PKESK', body, /encrypted data packet \(tag 18\) at byte 0/],
      ['the envelope alone', ecdh, new RegExp(`the end at byte ${ecdh.length}`)],
      ['text', Buffer.from('hello'), /no OpenPGP packet begins at byte 0/],
      [
        'text after the envelope',
        Buffer.concat([ecdh, Buffer.from('hello')]),
        new RegExp(`begins at byte ${ecdh.length}`),
      ],
      ['a PKESK of version 6', Buffer.concat([version6, body]), /version 6 at byte 0/],
      ['a PKESK of another algorithm', Buffer.concat([x25519, body]), /algorithm 25 at byte 0/],
      ['a PKESK with a byte more', Buffer.concat([padded, body]), /does not fill its packet at byte 0/],
      [
        'an RSA PKESK with a byte more',
        Buffer.concat([rsa, rsaPadded, body]),
        /does not fill its packet at byte [1-9]/,
      ],
      ['an empty PKESK', Buffer.concat([ecdh, oldPacket(1, Buffer.alloc(0)), body]), /version unknown/],
      ['a PKESK of its header alone', oldPacket(1, ecdh.subarray(2, 12)), /does not fill its packet/],
      ['a huge PKESK', Buffer.concat([oldPacket(1, Buffer.alloc(2049)), body]), /without a sane length/],
      [
        'a PKESK in parts',
        Buffer.concat([Buffer.from([0xc1, 0xe9]), Buffer.alloc(512)]),
        /without a sane length/,
      ],
      [
        'a password-wrapped key',
        Buffer.concat([ecdh, oldPacket(3, Buffer.alloc(20)), body]),
        /tag 3\) at byte/,
      ],
      [
        'a marker in front',
        Buffer.concat([Buffer.from('ca03504750', 'hex'), ecdh, body]),
        /tag 10\) at byte 0/,
      ],
      [
        'encrypted data without MDC',
        Buffer.concat([ecdh, Buffer.from([0xc9, 20]), Buffer.alloc(20)]),
        /tag 9\) at byte/,
      ],
      [
        'AEAD encrypted data',
        Buffer.concat([ecdh, Buffer.from([0xd4, 20]), Buffer.alloc(20)]),
        /tag 20\) at byte/,
      ],
      ['encrypted data of version 2', Buffer.concat([ecdh, seipd2]), /version 2 at byte/],
      ['65 PKESKs', Buffer.concat([...Array<Buffer>(65).fill(ecdh), body]), /64 at most/],
      [
        'a head cut short',
        Buffer.concat([ecdh, body]).subarray(0, ecdh.length + 2),
        /version unknown at byte/,
      ],
    ]
    for (const [name, head, message] of cases) {
      assert.throws(() => readEnvelope(head), { code: 'ERR_FORMAT', message }, name)
      if (head !== ecdh) assert.throws(() => readDetachedEnvelope(head), { code: 'ERR_FORMAT' }, name)
    }
  })

  test('a stored envelope ends with its last PKESK: nothing may follow, nothing may be missing', () => {
    const envelope = Buffer.concat([ecdh, rsa])
    assert.equal(readDetachedEnvelope(envelope).bytes, envelope.length)
    for (const more of [
      Buffer.from([0]),
      Buffer.from([0xd2]),
      Buffer.from([0xd5, 0]),
      Buffer.from([0xfd, 10]),
      body,
    ]) {
      assert.throws(() => readDetachedEnvelope(Buffer.concat([envelope, more])), { code: 'ERR_FORMAT' })
    }
    for (let length = 0; length < envelope.length; length++) {
      if (length === ecdh.length) continue
      assert.throws(
        () => readDetachedEnvelope(envelope.subarray(0, length)),
        { code: 'ERR_FORMAT' },
        `${length} bytes`,
      )
    }
  })

  test('the head limit is enough for the largest envelope that is accepted', () => {
    const largest = Buffer.alloc(2048)
    largest.set([3, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    largest.writeUInt16BE((2048 - 12) * 8, 10)
    const wrapped = Array<Buffer>(64).fill(packet(1, largest))
    const head = Buffer.concat([...wrapped, Buffer.from([0xd2, 0xff, 0, 1, 0, 0, 1])])
    assert.equal(head.length, envelopeHeadLimitBytes)
    assert.equal(readEnvelope(head).keyIds.length, 64)
    assert.throws(() => readEnvelope(head.subarray(0, -1)), { code: 'ERR_FORMAT' })
  })

  test('bytes of every kind end in ERR_FORMAT, or in facts that cover all of them', (t) => {
    const genuine = Buffer.concat([ecdh, rsa])
    const altered = fc.tuple(fc.nat(genuine.length - 1), fc.nat(255)).map(([at, octet]) => {
      const copy = Buffer.from(genuine)
      copy[at] = octet
      return copy
    })
    const anything = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes))
    const property = fc.property(fc.oneof(altered, anything), (bytes) => {
      try {
        assert.equal(readDetachedEnvelope(bytes).bytes, bytes.length)
      } catch (error) {
        assert.ok(error instanceof CoffreError && error.code === 'ERR_FORMAT', String(error))
      }
    })
    holds(t, property, 500)
  })
})

describe('an envelope that carries a whole message of its own', () => {
  /** Anybody can encrypt to a public key: this is what an attacker puts in front of the genuine body. */
  async function forge(swallow: (body: Buffer) => Buffer): Promise<{ envelope: Buffer; body: Buffer }> {
    const [attacker, genuine] = [newSessionKey(), newSessionKey()]
    const body = seal(Buffer.from('the genuine backup'), genuine)
    const message = [await wrapSessionKey(attacker, [ana]), seal(Buffer.from('DROP everything'), attacker)]
    return { envelope: Buffer.concat([...message, swallow(body)]), body }
  }

  test('makes stock gpg print the attacker’s text, with a good MDC and exit status 0: it is refused here', async () => {
    // The last thing in it is the header of a packet that gpg skips, and its length covers the genuine body.
    const { envelope, body } = await forge((body) => Buffer.from([0xd5, body.length]))
    const printed = home.run(['--status-fd', '2', '--decrypt'], Buffer.concat([envelope, body]))
    assert.equal(printed.stdout.toString(), 'DROP everything')
    assert.equal(printed.exitStatus, 0)
    assert.match(printed.stderr, /GOODMDC/)
    await refuses(envelope, body)
  })

  test('is refused when the genuine packets simply follow', async () => {
    const { envelope, body } = await forge(() => Buffer.alloc(0))
    await refuses(envelope, body)
  })

  async function refuses(envelope: Buffer, body: Buffer): Promise<void> {
    const ownBytes = (await wrapSessionKey(newSessionKey(), [ana])).length
    const message = new RegExp(`encrypted data packet \\(tag 18\\) at byte ${ownBytes}`)
    assert.throws(() => readDetachedEnvelope(envelope), { code: 'ERR_FORMAT', message })
    await assert.rejects(unwrapSessionKey(envelope, identity), { code: 'ERR_FORMAT', message })
    // Read as an artifact its head looks right, but nothing may follow the encrypted packet, whoever made it.
    const artifact = Buffer.concat([envelope, body])
    const { bytes } = readEnvelope(artifact)
    const sessionKey = await unwrapSessionKey(artifact.subarray(0, bytes), identity)
    assert.throws(() => open(artifact.subarray(bytes), sessionKey), {
      code: 'ERR_FORMAT',
      message: /bytes follow/,
    })
  }
})
