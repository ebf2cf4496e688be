/**
 * An artifact's envelope: its session key, wrapped once for each recipient (version 3 PKESK packets, RFC 9580,
 * section 5.1.1). Promises that an envelope is parsed to its last byte, because stock gpg would print an attacker's
 * text that was hidden between a PKESK and a genuine body, and call it good. The labels prove nothing: only opening
 * shows who can open.
 */
import { randomBytes } from 'node:crypto'
import { decryptSessionKeys, encryptSessionKey, readKey, readMessage } from 'openpgp'
import { CoffreError } from '../errors.ts'
import { fingerprint } from './key-file.ts'
import { describeTag, longestHeaderBytes, readPacketHeader, tags } from './packets.ts'
import type { PacketHeader } from './packets.ts'
import { endOfTime } from './recipient.ts'
import type { Recipient } from './recipient.ts'
import { secretOf } from './secret-key.ts'
import type { Identity } from './secret-key.ts'

export interface EnvelopeFacts {
  /** The length of all the PKESK packets, which is where the body begins. */
  readonly bytes: number
  /** The label of each, in order: 16 upper-case hexadecimal digits, all zero for an anonymous recipient. */
  readonly keyIds: readonly string[]
}

const sessionKeyBytes = 32
const mostPackets = 64
const largestPacketBytes = 2048

/** So many bytes from an artifact's beginning always suffice for `readEnvelope`. */
export const envelopeHeadLimitBytes =
  mostPackets * (longestHeaderBytes + largestPacketBytes) + longestHeaderBytes + 1

/** A fresh AES-256 session key: one for every attempt at an artifact. */
export function newSessionKey(): Buffer {
  return randomBytes(sessionKeyBytes)
}

/**
 * The envelope of an artifact for these recipients: one PKESK packet each, in their order, labelled with the
 * encryption subkey's key id. An expired recipient is served like any other: whoever read it in judged that. Throws
 * ERR_KEY when a recipient's armored key does not hold its subkey.
 */
export async function wrapSessionKey(sessionKey: Buffer, recipients: readonly Recipient[]): Promise<Buffer> {
  if (sessionKey.length !== sessionKeyBytes || recipients.length === 0 || recipients.length > mostPackets) {
    throw new CoffreError(
      'ERR_INTERNAL',
      `cannot wrap ${sessionKey.length} bytes for ${recipients.length} recipients`,
    )
  }
  const packets: Buffer[] = []
  for (const recipient of recipients) packets.push(await wrapFor(sessionKey, recipient))
  const envelope = Buffer.concat(packets)
  const { keyIds } = readDetachedEnvelope(envelope)
  if (keyIds.join() !== recipients.map((one) => one.keyId).join()) {
    throw new CoffreError('ERR_INTERNAL', `the envelope came out for ${keyIds.join(', ')}`)
  }
  return envelope
}

async function wrapFor(sessionKey: Buffer, recipient: Recipient): Promise<Buffer> {
  const key = await readKey({ armoredKey: recipient.publicKey })
  const subkey = key.subkeys.find((one) => fingerprint(one) === recipient.subkey)
  if (subkey === undefined) {
    throw new CoffreError(
      'ERR_KEY',
      `key ${recipient.fingerprint} does not hold the subkey ${recipient.subkey}`,
    )
  }
  // As of its last valid second, so that neither this machine's clock nor an expiry that was accepted gets in the way.
  const date = recipient.expiresAt === undefined ? endOfTime : new Date(recipient.expiresAt.getTime() - 1000)
  const packet = await encryptSessionKey({
    data: sessionKey,
    algorithm: 'aes256',
    encryptionKeys: key,
    encryptionKeyIDs: subkey.getKeyID(),
    date,
    format: 'binary',
  }).catch((error: unknown) => {
    throw new CoffreError('ERR_KEY', `cannot encrypt to key ${recipient.fingerprint}`, { cause: error })
  })
  return Buffer.from(packet)
}

/**
 * Reads the packets at the head of a stored artifact: PKESK packets, then the header of a SEIPD version 1 packet.
 * Throws ERR_FORMAT, with what was found and where, for anything else.
 */
export function readEnvelope(head: Buffer): EnvelopeFacts {
  const { bytes, keyIds, next } = readWrappedKeys(head)
  if (next === undefined) throw found(bytes, 'the end', 'encrypted data (tag 18)')
  if (next.tag !== tags.integrityProtectedData)
    throw found(bytes, describeTag(next.tag), 'encrypted data (tag 18)')
  const version = head[bytes + next.octets]
  if (version !== 1) throw found(bytes, `encrypted data of version ${version ?? 'unknown'}`, 'version 1')
  return { bytes, keyIds }
}

/** Reads an envelope stored by itself: PKESK packets and nothing else, to the last byte, or ERR_FORMAT. */
export function readDetachedEnvelope(envelope: Buffer): WrappedKeys {
  const { next, ...facts } = readWrappedKeys(envelope)
  if (next !== undefined) throw found(facts.bytes, describeTag(next.tag), 'the end of the envelope')
  return facts
}

interface WrappedKeys extends EnvelopeFacts {
  /** Where each packet ends. */
  readonly ends: readonly number[]
}

function readWrappedKeys(packets: Buffer): WrappedKeys & { readonly next: PacketHeader | undefined } {
  const keyIds: string[] = []
  const ends: number[] = []
  for (let at = 0; ; ) {
    const header = readPacketHeader(packets, at, `byte ${at}`)
    if (header === undefined && at < packets.length) throw found(at, 'a packet cut short', 'a whole one')
    if (header?.tag !== tags.publicKeyEncryptedSessionKey) {
      if (keyIds.length === 0)
        throw found(at, header ? describeTag(header.tag) : 'nothing', 'a wrapped session key')
      return { bytes: at, keyIds, ends, next: header }
    }
    if (keyIds.length === mostPackets)
      throw found(at, 'one wrapped session key more', `${mostPackets} at most`)
    const end = at + header.octets + header.bodyBytes
    if (header.partial || header.bodyBytes > largestPacketBytes) {
      throw found(at, 'a wrapped session key without a sane length', `${largestPacketBytes} bytes at most`)
    }
    if (end > packets.length) throw found(at, 'a wrapped session key cut short', 'a whole one')
    keyIds.push(readWrappedKey(packets.subarray(at + header.octets, end), at))
    ends.push(end)
    at = end
  }
}

/** The label of one PKESK packet, whose body must be filled exactly by what its algorithm asks for. */
function readWrappedKey(body: Buffer, at: number): string {
  if (body[0] !== 3) throw found(at, `a wrapped session key of version ${body[0] ?? 'unknown'}`, 'version 3')
  const algorithm = body[9]
  const isRsa = algorithm === 1
  if (!isRsa && algorithm !== 18) {
    throw found(at, `a session key wrapped by algorithm ${algorithm ?? 'unknown'}`, 'RSA (1) or ECDH (18)')
  }
  // One big number (for ECDH the sender's point) with its length in bits; for ECDH the wrapped key and its length.
  const numberEnd = body.length < 12 ? Infinity : 12 + Math.ceil(body.readUInt16BE(10) / 8)
  const end = isRsa ? numberEnd : numberEnd + 1 + (body[numberEnd] ?? Infinity)
  if (end !== body.length)
    throw found(at, 'a wrapped session key that does not fill its packet', 'an exact one')
  return body.toString('hex', 1, 9).toUpperCase()
}

function found(at: number, what: string, wanted: string): CoffreError {
  return new CoffreError('ERR_FORMAT', `the envelope has ${what} at byte ${at}, where ${wanted} must be`)
}

/**
 * The session key in an envelope (PKESK packets and nothing else). Throws ERR_NO_IDENTITY when none of them opens
 * with this identity, ERR_FORMAT for a malformed envelope and for a session key that is not one for AES-256.
 */
export async function unwrapSessionKey(envelope: Buffer, identity: Identity): Promise<Buffer> {
  const { keyIds, ends } = readDetachedEnvelope(envelope)
  const anonymous = '0'.repeat(16)
  const mayOpen = (keyId: string | undefined): boolean =>
    keyId !== undefined && (keyId === anonymous || identity.keyIds.includes(keyId))
  if (!keyIds.some(mayOpen)) {
    throw new CoffreError(
      'ERR_NO_IDENTITY',
      `key ${identity.fingerprint} is none of those that open this: ${keyIds.join(', ')}`,
    )
  }
  if (identity.unwrapElsewhere !== undefined) {
    // Only these: gpg would ask for the passphrase of every key it has.
    const fitting = ends
      .map((end, at) => envelope.subarray(ends[at - 1] ?? 0, end))
      .filter((_packet, at) => mayOpen(keyIds[at]))
    return await identity.unwrapElsewhere(Buffer.concat(fitting))
  }
  const message = await readMessage({ binaryMessage: envelope })
  const opened = await decryptSessionKeys({ message, decryptionKeys: secretOf(identity) }).catch(
    (error: unknown) => {
      throw new CoffreError(
        'ERR_NO_IDENTITY',
        `the session key does not open with key ${identity.fingerprint}`,
        { cause: error },
      )
    },
  )
  const [sessionKey] = opened
  if (
    opened.length !== 1 ||
    sessionKey?.algorithm !== 'aes256' ||
    sessionKey.data.length !== sessionKeyBytes
  ) {
    const kinds = opened.map((one) => one.algorithm ?? 'unknown').join(', ')
    throw new CoffreError(
      'ERR_FORMAT',
      `the envelope holds session keys for ${kinds}, where one for AES-256 must be`,
    )
  }
  return Buffer.from(sessionKey.data)
}
