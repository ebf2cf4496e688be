/** Bodies that were altered, cut short or put together by an attacker: every one is refused, none in silence. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import { newSessionKey } from '../../src/openpgp/envelope.ts'
import { MessageOpener } from '../../src/openpgp/message.ts'
import { partBytes } from '../../src/openpgp/packet-writer.ts'
import { flip, holds, open, packet, seal, sealPackets } from './openpgp-sealing.ts'

const sessionKey = randomBytes(32)
const literalBody = Buffer.concat([Buffer.from([0x62, 0, 0, 0, 0, 0]), Buffer.from('hello')])
const literal = packet(11, literalBody)

function isRefusal(error: unknown): boolean {
  return error instanceof CoffreError && (error.code === 'ERR_DIGEST' || error.code === 'ERR_FORMAT')
}

/** A packet from its first octet and the others, for framing that no writer would choose. */
function raw(firstOctet: number, ...octets: readonly number[]): Buffer {
  return Buffer.from([firstOctet, ...octets])
}

describe('a body that was altered', () => {
  test('by any one bit is found, when it is short', () => {
    const body = seal(randomBytes(70), sessionKey)
    for (let bit = 0; bit < body.length * 8; bit++) {
      const altered = flip(body, bit >> 3, bit & 7)
      assert.throws(() => open(altered, sessionKey), isRefusal, `bit ${bit & 7} of byte ${bit >> 3}`)
    }
  })

  test('by any one bit is found, when it is in parts', (t) => {
    const body = seal(randomBytes(3 * partBytes), sessionKey)
    const lengths = [0, 1, partBytes + 2, 2 * partBytes + 3, 3 * partBytes + 4]
    const positions = fc.oneof(fc.constantFrom(...lengths), fc.nat(body.length - 1))
    const property = fc.property(positions, fc.nat(7), (at, bit) => {
      assert.throws(() => open(flip(body, at, bit), sessionKey), isRefusal)
    })
    holds(t, property, 60)
  })

  test('by cutting it short anywhere is found', () => {
    const body = seal(randomBytes(70), sessionKey)
    for (let length = 0; length < body.length; length++) {
      const cut = body.subarray(0, length)
      assert.throws(() => open(cut, sessionKey), { code: 'ERR_DIGEST' }, `${length} bytes`)
    }
  })

  test('by cutting it short around each part, or ending it neatly after one, is found', () => {
    const body = seal(randomBytes(2 * partBytes), sessionKey)
    for (const boundary of [2, partBytes + 2, 2 * partBytes + 3]) {
      for (const length of [boundary - 1, boundary, boundary + 1]) {
        const cut = body.subarray(0, length)
        assert.throws(() => open(cut, sessionKey), { code: 'ERR_DIGEST' }, `${length} bytes`)
      }
    }
    const neat = Buffer.concat([body.subarray(0, partBytes + 2), Buffer.from([0])])
    assert.throws(() => open(neat, sessionKey), { code: 'ERR_DIGEST', message: /no modification detection/ })
  })

  test('by its MDC, or without one, is found', () => {
    const body = sealPackets(literal, sessionKey)
    const wrong = { code: 'ERR_DIGEST', message: /does not match its modification/ }
    assert.throws(() => open(flip(body, body.length - 1, 0), sessionKey), wrong)
    const without = { code: 'ERR_DIGEST', message: /no modification detection/ }
    assert.throws(() => open(packet(18, body.subarray(6, -22)), sessionKey), without)
    const other = sealPackets(literal, sessionKey, Buffer.from([0xd4, 0x14]))
    assert.throws(() => open(other, sessionKey), { code: 'ERR_FORMAT', message: /other than its MDC/ })
  })
})

test('a wrong session key is found in the first bytes', () => {
  const head = seal(randomBytes(1000), sessionKey).subarray(0, 40)
  const tries = 4
  let refusals = 0
  for (let run = 0; run < tries; run++) {
    try {
      new MessageOpener(newSessionKey()).update(head)
    } catch (error) {
      assert.ok(isRefusal(error))
      refusals++
    }
  }
  assert.ok(refusals >= tries - 1, 'the check lets one wrong key in 65536 through, for the MDC to find')
})

describe('what is no body of coffre is refused', () => {
  const encrypted = seal(Buffer.from('hello'), sessionKey)
  const inside = (...packets: readonly Buffer[]): Buffer => sealPackets(Buffer.concat(packets), sessionKey)
  const refused: readonly (readonly [string, Buffer, RegExp])[] = [
    ['a version 2 (AEAD) packet', packet(18, Buffer.from([2, 9, 2, 6])), /version 2, not 1/],
    ['encrypted data without integrity protection', packet(9, Buffer.alloc(40)), /tag 9\) where/],
    ['the same with an old header', raw(0xa4, 3, 1, 2, 3), /tag 9\) where/],
    ['AEAD encrypted data of LibrePGP', packet(20, Buffer.alloc(40)), /tag 20\) where/],
    ['a plain literal packet', literal, /tag 11\) where/],
    ['an envelope before it', packet(1, Buffer.alloc(40)), /tag 1\) where/],
    ['text', Buffer.from('hello'), /no OpenPGP packet begins at the start of the body/],
    ['a byte after the packet', Buffer.concat([encrypted, Buffer.from([0])]), /bytes follow the encrypted/],
    ['a second message after it', Buffer.concat([encrypted, encrypted]), /bytes follow the encrypted/],
    ['a first part under 512 bytes', raw(0xd2, 0xe8, 1), /under 512/],
    ['a compressed packet inside', inside(packet(8, Buffer.from([0]))), /tag 8\) inside/],
    ['a signed message inside', inside(packet(4, Buffer.alloc(13))), /tag 4\) inside/],
    ['a second literal packet inside', inside(literal, literal), /other than its MDC/],
    ['a padding packet inside', inside(literal, packet(21, Buffer.alloc(1))), /other than its MDC/],
    ['literal data of unknown length', inside(raw(0xaf), literalBody), /indeterminate/],
    ['a literal packet without its fields', inside(packet(11, Buffer.from([0x62, 0]))), /its own header/],
  ]
  for (const [name, body, message] of refused) {
    test(name, () => {
      for (const cutBytes of [1, 100_000]) {
        assert.throws(() => open(body, sessionKey, cutBytes), { code: 'ERR_FORMAT', message })
      }
    })
  }
})
