/**
 * What the tests of src/openpgp share: bodies sealed and opened here in one call, packets put together by hand as an
 * attacker would, and keys made as asked for.
 */
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import * as fc from 'fast-check'
import { newSessionKey, wrapSessionKey } from '../../src/openpgp/envelope.ts'
import { generateKey } from '../../src/openpgp/keys.ts'
import type { GeneratedKey, KeyRequest, Recipient } from '../../src/openpgp/keys.ts'
import { MessageOpener, MessageSealer } from '../../src/openpgp/message.ts'

export function seal(plaintext: Buffer, sessionKey: Buffer): Buffer {
  const sealer = new MessageSealer(sessionKey)
  return Buffer.concat([...sealer.update(plaintext), ...sealer.final()])
}

/** A whole artifact for one recipient. */
export async function sealTo(recipient: Recipient, plaintext: Buffer): Promise<Buffer> {
  const sessionKey = newSessionKey()
  return Buffer.concat([await wrapSessionKey(sessionKey, [recipient]), seal(plaintext, sessionKey)])
}

/** Opens a body given in pieces of `cutBytes`. */
export function open(body: Buffer, sessionKey: Buffer, cutBytes = 65_536): Buffer {
  const opener = new MessageOpener(sessionKey)
  const out: Buffer[] = []
  for (let at = 0; at < body.length; at += cutBytes)
    out.push(...opener.update(body.subarray(at, at + cutBytes)))
  return Buffer.concat([...out, ...opener.final()])
}

/** A SEIPD version 1 packet around any bytes, with a good MDC: what anybody with the public key can make too. */
export function sealPackets(
  packets: Buffer,
  sessionKey: Buffer,
  mdcHeader = Buffer.from([0xd3, 0x14]),
): Buffer {
  const prefix = randomBytes(18)
  prefix.copyWithin(16, 14, 16)
  const hashed = Buffer.concat([prefix, packets, mdcHeader])
  const digest = createHash('sha1').update(hashed).digest()
  const cipher = createCipheriv('aes-256-cfb', sessionKey, Buffer.alloc(16))
  return packet(18, Buffer.concat([Buffer.from([1]), cipher.update(Buffer.concat([hashed, digest]))]))
}

/** A new-format packet with a five-octet length. */
export function packet(tag: number, body: Buffer): Buffer {
  const header = Buffer.from([0xc0 | tag, 0xff, 0, 0, 0, 0])
  header.writeUInt32BE(body.length, 2)
  return Buffer.concat([header, body])
}

/** A packet with a two-octet old header, as gpg writes it. */
export function oldPacket(tag: number, body: Buffer): Buffer {
  const header = Buffer.from([0x81 | (tag << 2), 0, 0])
  header.writeUInt16BE(body.length, 1)
  return Buffer.concat([header, body])
}

/** The same bytes with one bit flipped. */
export function flip(bytes: Buffer, at: number, bit: number): Buffer {
  const altered = Buffer.from(bytes)
  altered[at] = (altered[at] ?? 0) ^ (1 << bit)
  return altered
}

/** A new key: unless said otherwise an Ed25519 one of Ana's to encrypt to, without a passphrase, for ever. */
export function makeKey(request: Partial<KeyRequest> = {}): Promise<GeneratedKey> {
  return generateKey({
    name: 'Ana',
    email: 'ana@example.org',
    kind: 'ed25519',
    use: 'encrypt',
    validDays: undefined,
    passphrase: undefined,
    now: new Date(),
    ...request,
  })
}

/** Checks a property, with a seed that is printed so that a failure can be had again. */
export function holds<T>(t: TestContext, property: fc.IProperty<T>, numRuns: number): void {
  const seed = Date.now() | 0
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  fc.assert(property, { seed, numRuns, verbose: fc.VerbosityLevel.Verbose })
}
