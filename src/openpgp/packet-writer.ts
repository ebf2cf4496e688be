/**
 * Frames one packet of unknown length as it is written (RFC 9580, section 4.2.1.4): parts of one size, then the
 * rest with a definite length. What the packet holds is its user's business.
 */
import { writeLength, writePartialLength, writeTag } from './packets.ts'

const partExponent = 18

/** Large enough that the calls per part cost nothing, small enough for the processor's caches. */
export const partBytes = 2 ** partExponent

export class PacketWriter {
  readonly #tag: number
  readonly #emit: (piece: Buffer<ArrayBuffer>) => void
  readonly #ownPieces: boolean
  /** The part being filled, its header in front. */
  #part: Buffer<ArrayBuffer>
  #filledBytes: number
  #headerBytes: number

  /**
   * `emit` gets each finished piece, in order. With `ownPieces` every piece covers the whole of an ArrayBuffer of
   * its own; without, a piece is overwritten as soon as `emit` returns, which saves the memory and the page faults.
   */
  constructor(tag: number, ownPieces: boolean, emit: (piece: Buffer<ArrayBuffer>) => void) {
    this.#tag = tag
    this.#emit = emit
    this.#ownPieces = ownPieces
    this.#headerBytes = 2
    this.#filledBytes = 2
    this.#part = Buffer.allocUnsafeSlow(partBytes + 2)
    this.#part[0] = writeTag(tag)
    this.#part[1] = writePartialLength(partExponent)
  }

  /** Copies `bytes` in: the caller may reuse them at once. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const roomBytes = this.#part.length - this.#filledBytes
      const taken = bytes.subarray(at, at + roomBytes)
      this.#part.set(taken, this.#filledBytes)
      this.#filledBytes += taken.length
      at += taken.length
      if (taken.length === roomBytes) this.#finishPart()
    }
  }

  /** Writes what is left with its definite length, which may be zero. Nothing may be written afterwards. */
  end(): void {
    const rest = this.#part.subarray(this.#headerBytes, this.#filledBytes)
    const length = writeLength(rest.length)
    const header = this.#headerBytes === 2 ? Buffer.from([writeTag(this.#tag), ...length]) : length
    const piece = Buffer.allocUnsafeSlow(header.length + rest.length)
    piece.set(header)
    piece.set(rest, header.length)
    this.#emit(piece)
  }

  #finishPart(): void {
    this.#emit(this.#part)
    // Only the first part carries the tag in front of its length.
    const nextBytes = partBytes + 1
    this.#part = this.#ownPieces ? Buffer.allocUnsafeSlow(nextBytes) : this.#part.subarray(-nextBytes)
    this.#part[0] = writePartialLength(partExponent)
    this.#headerBytes = 1
    this.#filledBytes = 1
  }
}
