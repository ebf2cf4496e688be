/**
 * The stream of an artifact's body: one encrypted-data packet (SEIPD version 1, RFC 9580, section 5.13.1) around one
 * literal-data packet. MessageSealer writes it as GnuPG 2.2 reads it, MessageOpener reads what coffre, GnuPG and
 * others write. Synchronous, on node:crypto alone, because it runs inside the lanes' worker threads.
 *
 * The modification detection code (MDC) finds accidents and nothing else: anybody who has the public key can make a
 * message with a good one. Who opens a body must have found its ciphertext's digest in a signed manifest first.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { giveBack } from '../model/given-back.ts'
import { PacketReader } from './packet-reader.ts'
import { PacketWriter } from './packet-writer.ts'
import { describeTag, tags } from './packets.ts'

const cipherName = 'aes-256-cfb'
const zeroIv = Buffer.alloc(16)

/** Sixteen random octets and the last two of them again, which lets a reader notice a wrong key at once. */
const prefixBytes = 18
/** What stands in front of the SHA-1 in the MDC packet; it is hashed too. */
const mdcHeader = Buffer.from([0xd3, 0x14])
const mdcBytes = mdcHeader.length + 20
/** The literal packet's own fields: format `b`, no name, no date. */
const binaryFormat = 0x62
const literalHeader = Buffer.from([binaryFormat, 0, 0, 0, 0, 0])

/** Makes the body of one artifact. Use it once; make a fresh session key for every attempt. */
export class MessageSealer {
  readonly #cipher
  readonly #digest = createHash('sha1')
  readonly #encrypted: PacketWriter
  readonly #literal: PacketWriter
  #finished: Buffer<ArrayBuffer>[] = []

  /** `sessionKey` is 32 bytes; it is copied. */
  constructor(sessionKey: Buffer) {
    this.#cipher = createCipheriv(cipherName, sessionKey, zeroIv)
    this.#encrypted = new PacketWriter(tags.integrityProtectedData, true, (piece) =>
      this.#finished.push(piece),
    )
    this.#literal = new PacketWriter(tags.literalData, false, (piece) => this.#encrypt(piece))
    this.#encrypted.write(Buffer.from([1]))
    const prefix = randomBytes(prefixBytes)
    prefix.copyWithin(16, 14, 16)
    this.#encrypt(prefix)
    this.#literal.write(literalHeader)
  }

  /**
   * Takes plaintext, whose memory may be reused at once, and returns what is ready of the body: often nothing. Each
   * returned Buffer covers the whole of an ArrayBuffer of its own and may be transferred to another thread.
   */
  update(plaintext: Uint8Array): Buffer<ArrayBuffer>[] {
    this.#literal.write(plaintext)
    return this.#takeFinished()
  }

  /** Ends the message and returns the rest of its body, like `update`. */
  final(): Buffer<ArrayBuffer>[] {
    this.#literal.end()
    this.#encrypt(mdcHeader)
    this.#encrypted.write(this.#cipher.update(this.#digest.digest()))
    this.#encrypted.end()
    return this.#takeFinished()
  }

  #encrypt(plain: Buffer): void {
    this.#digest.update(plain)
    const encrypted = this.#cipher.update(plain)
    this.#encrypted.write(encrypted)
    giveBack(encrypted)
  }

  #takeFinished(): Buffer<ArrayBuffer>[] {
    const finished = this.#finished
    this.#finished = []
    return finished
  }
}

/**
 * Opens the body of one artifact. What `update` returns has not been checked yet: the message is whole only when
 * `final` has returned.
 */
export class MessageOpener {
  readonly #decipher
  readonly #digest = createHash('sha1')
  readonly #encrypted = new PacketReader('the start of the body', acceptEncryptedData)
  readonly #literal = new PacketReader('the start of the decrypted data', acceptLiteralData)
  readonly #prefix = Buffer.alloc(prefixBytes)
  readonly #mdc = Buffer.alloc(mdcBytes)
  #versionRead = false
  #prefixFilled = 0
  #mdcFilled = 0
  #literalFieldsRead = 0
  #literalFieldsBytes = literalHeader.length

  /** `sessionKey` is 32 bytes; it is copied. */
  constructor(sessionKey: Buffer) {
    this.#decipher = createDecipheriv(cipherName, sessionKey, zeroIv)
  }

  /**
   * Takes the next bytes of the body and returns the literal data in them, in memory of its own (several Buffers
   * may share one ArrayBuffer). Throws ERR_FORMAT for anything but one SEIPD version 1 packet around one binary
   * literal packet, and ERR_DIGEST if the session key does not fit.
   */
  update(body: Uint8Array): Buffer[] {
    const out: Buffer[] = []
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const usedBytes = this.#encrypted.read(bytes, (part) => this.#decrypt(part, out))
    if (usedBytes < bytes.length) {
      throw new CoffreError(
        'ERR_FORMAT',
        'bytes follow the encrypted data packet, which must end its artifact',
      )
    }
    return out
  }

  /** Checks that the message is whole. Throws ERR_DIGEST if it was cut short or altered, ERR_FORMAT if more follows. */
  final(): Buffer[] {
    if (!this.#encrypted.hasEnded) throw new CoffreError('ERR_DIGEST', 'the encrypted data ends too early')
    if (!this.#literal.hasEnded || this.#mdcFilled < mdcBytes) {
      throw new CoffreError('ERR_DIGEST', 'the encrypted data has no modification detection code')
    }
    if (!this.#mdc.subarray(0, mdcHeader.length).equals(mdcHeader)) throw somethingFollows()
    this.#digest.update(mdcHeader)
    if (!timingSafeEqual(this.#digest.digest(), this.#mdc.subarray(mdcHeader.length))) {
      throw new CoffreError('ERR_DIGEST', 'the encrypted data does not match its modification detection code')
    }
    if (this.#literalFieldsRead < this.#literalFieldsBytes) {
      throw new CoffreError('ERR_FORMAT', 'the literal data packet ends inside its own header')
    }
    return []
  }

  #decrypt(part: Buffer, out: Buffer[]): void {
    let encrypted = part
    if (!this.#versionRead) {
      if (part[0] !== 1) throw new CoffreError('ERR_FORMAT', `encrypted data of version ${part[0]}, not 1`)
      this.#versionRead = true
      encrypted = part.subarray(1)
    }
    const plain = this.#skipPrefix(this.#decipher.update(encrypted))
    const literalBytes = this.#literal.read(plain, (body) => this.#takeLiteral(body, out))
    this.#digest.update(plain.subarray(0, literalBytes))
    this.#takeMdc(plain.subarray(literalBytes))
  }

  #skipPrefix(plain: Buffer): Buffer {
    if (this.#prefixFilled === prefixBytes) return plain
    const taken = plain.copy(this.#prefix, this.#prefixFilled)
    this.#prefixFilled += taken
    if (this.#prefixFilled === prefixBytes) {
      if (!this.#prefix.subarray(14, 16).equals(this.#prefix.subarray(16))) {
        throw new CoffreError('ERR_DIGEST', 'the session key does not fit, or the encrypted data was altered')
      }
      this.#digest.update(this.#prefix)
    }
    return plain.subarray(taken)
  }

  #takeLiteral(body: Buffer, out: Buffer[]): void {
    let at = 0
    for (; at < body.length && this.#literalFieldsRead < this.#literalFieldsBytes; at++) {
      const octet = body[at] ?? 0
      if (this.#literalFieldsRead === 0 && octet !== binaryFormat) {
        throw new CoffreError('ERR_FORMAT', `literal data of format 0x${octet.toString(16)}, not binary`)
      }
      if (this.#literalFieldsRead === 1) this.#literalFieldsBytes += octet
      this.#literalFieldsRead++
    }
    if (at < body.length) out.push(body.subarray(at))
  }

  #takeMdc(rest: Buffer): void {
    if (rest.length > mdcBytes - this.#mdcFilled) throw somethingFollows()
    this.#mdcFilled += rest.copy(this.#mdc, this.#mdcFilled)
  }
}

function acceptEncryptedData(tag: number): void {
  if (tag === tags.integrityProtectedData) return
  throw new CoffreError('ERR_FORMAT', `${describeTag(tag)} where encrypted data (tag 18) must be`)
}

function acceptLiteralData(tag: number): void {
  if (tag === tags.literalData) return
  const hint = 'encrypt with gpg --compress-algo none: OpenPGP compression is not opened'
  throw new CoffreError(
    'ERR_FORMAT',
    `${describeTag(tag)} inside the encrypted data, where only literal data (tag 11) may be`,
    tag === tags.compressedData ? { hint } : {},
  )
}

function somethingFollows(): CoffreError {
  return new CoffreError('ERR_FORMAT', 'something other than its MDC follows the literal data')
}
