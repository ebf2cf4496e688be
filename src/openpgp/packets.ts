/**
 * OpenPGP packet headers (RFC 9580, section 4.2): reading one, and writing new-format lengths.
 * Promises that a header is taken apart exactly or refused. What the packets mean is for the files that use it.
 */
import { CoffreError } from '../errors.ts'

/** The packet types coffre writes or has a word for. */
export const tags = {
  publicKeyEncryptedSessionKey: 1,
  compressedData: 8,
  symmetricallyEncryptedData: 9,
  literalData: 11,
  integrityProtectedData: 18,
  aeadEncryptedData: 20,
} as const

const tagNames: ReadonlyMap<number, string> = new Map([
  [tags.publicKeyEncryptedSessionKey, 'wrapped session key'],
  [2, 'signature'],
  [3, 'password-wrapped session key'],
  [4, 'one-pass signature'],
  [5, 'secret key'],
  [6, 'public key'],
  [tags.compressedData, 'compressed data'],
  [tags.symmetricallyEncryptedData, 'encrypted data without integrity protection'],
  [10, 'marker'],
  [tags.literalData, 'literal data'],
  [12, 'trust'],
  [13, 'user id'],
  [tags.integrityProtectedData, 'encrypted data'],
  [19, 'modification detection code'],
  [tags.aeadEncryptedData, 'AEAD encrypted data of LibrePGP'],
  [21, 'padding'],
])

/** How messages speak of a packet type. */
export function describeTag(tag: number): string {
  return `${tagNames.get(tag) ?? 'unknown'} packet (tag ${tag})`
}

/** A length as it stood in the bytes. `partial`: the body goes on after `bodyBytes` with another length. */
export interface BodyLength {
  readonly octets: number
  readonly bodyBytes: number
  readonly partial: boolean
}

export interface PacketHeader extends BodyLength {
  readonly tag: number
}

/** The longest header there is: the tag and a five-octet length. */
export const longestHeaderBytes = 6

/** The first partial length may not be shorter (RFC 9580, section 4.2.1.4). */
const shortestFirstPartBytes = 512

const packetBit = 0x80
const newFormatBit = 0x40

/** The packet type in a packet's first octet; ERR_FORMAT if it begins none. `place` is how messages call that point. */
export function readTag(first: number, place: string): number {
  if ((first & packetBit) === 0) throw new CoffreError('ERR_FORMAT', `no OpenPGP packet begins at ${place}`)
  return (first & newFormatBit) !== 0 ? first & 0x3f : (first >> 2) & 0x0f
}

/**
 * The packet header at `offset`, or undefined when the bytes end inside it. `octets` counts the tag too.
 * Throws ERR_FORMAT where no packet begins, and for lengths that are
 * indeterminate or start with too short a part.
 */
export function readPacketHeader(bytes: Buffer, offset: number, place: string): PacketHeader | undefined {
  const first = bytes[offset]
  if (first === undefined) return undefined
  const tag = readTag(first, place)
  const isNewFormat = (first & newFormatBit) !== 0
  const length = isNewFormat ? readLength(bytes, offset + 1) : readOldLength(bytes, offset + 1, first & 0x03)
  if (length === 'indeterminate') {
    throw new CoffreError('ERR_FORMAT', `${describeTag(tag)} of indeterminate length at ${place}`)
  }
  if (length === undefined) return undefined
  if (length.partial && length.bodyBytes < shortestFirstPartBytes) {
    throw new CoffreError('ERR_FORMAT', `${describeTag(tag)} at ${place} begins with a part under 512 bytes`)
  }
  return { tag, octets: length.octets + 1, bodyBytes: length.bodyBytes, partial: length.partial }
}

/** The new-format length at `offset` (RFC 9580, section 4.2.1), or undefined when the bytes end inside it. */
export function readLength(bytes: Buffer, offset: number): BodyLength | undefined {
  const first = bytes[offset]
  if (first === undefined) return undefined
  if (first < 192) return { octets: 1, bodyBytes: first, partial: false }
  if (first >= 224 && first < 255) return { octets: 1, bodyBytes: 2 ** (first & 0x1f), partial: true }
  if (first === 255) {
    if (bytes.length < offset + 5) return undefined
    return { octets: 5, bodyBytes: bytes.readUInt32BE(offset + 1), partial: false }
  }
  const second = bytes[offset + 1]
  if (second === undefined) return undefined
  return { octets: 2, bodyBytes: ((first - 192) << 8) + second + 192, partial: false }
}

/** The old-format length at `offset` (RFC 9580, section 4.2.2). GnuPG still writes those. */
function readOldLength(
  bytes: Buffer,
  offset: number,
  lengthType: number,
): BodyLength | 'indeterminate' | undefined {
  if (lengthType === 3) return 'indeterminate'
  const octets = 2 ** lengthType
  if (bytes.length < offset + octets) return undefined
  return { octets, bodyBytes: bytes.readUIntBE(offset, octets), partial: false }
}

/** A definite new-format length. */
export function writeLength(bodyBytes: number): Buffer {
  if (bodyBytes < 192) return Buffer.from([bodyBytes])
  if (bodyBytes < 8384) return Buffer.from([((bodyBytes - 192) >> 8) + 192, (bodyBytes - 192) & 0xff])
  const length = Buffer.alloc(5, 0xff)
  length.writeUInt32BE(bodyBytes, 1)
  return length
}

/** The octet that announces a part of 2^exponent bytes, with more to follow. */
export function writePartialLength(exponent: number): number {
  return 0xe0 | exponent
}

/** The first octet of a new-format packet. */
export function writeTag(tag: number): number {
  return 0xc0 | tag
}
