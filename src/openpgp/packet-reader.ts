/**
 * Takes the framing off one packet as its bytes arrive, whatever way they are cut: definite or partial lengths,
 * old or new headers. It promises to stop at the packet's last byte and to say when it got there; what the body
 * means, and what may follow it, is its user's business.
 */
import { longestHeaderBytes, readLength, readPacketHeader, readTag } from './packets.ts'
import type { BodyLength } from './packets.ts'

export class PacketReader {
  readonly #place: string
  readonly #accept: (tag: number) => void
  /** Octets of a header or length that has not come whole yet. */
  readonly #pending = Buffer.alloc(longestHeaderBytes)
  #pendingBytes = 0
  #state: 'header' | 'body' | 'length' | 'ended' = 'header'
  #leftBytes = 0
  #moreParts = false

  /** `place` is what messages call the packet's start; `accept` sees its tag, and throws if that is not wanted. */
  constructor(place: string, accept: (tag: number) => void) {
    this.#place = place
    this.#accept = accept
  }

  /** Whether the packet's last byte has been read. */
  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  /**
   * Reads on. `take` gets the body, in views of `bytes`. Returns how many bytes belonged to the packet: fewer than
   * there were only when it has ended. Throws ERR_FORMAT for framing that RFC 9580 does not allow.
   */
  read(bytes: Buffer, take: (body: Buffer) => void): number {
    let at = 0
    while (at < bytes.length && this.#state !== 'ended') {
      if (this.#state === 'body') {
        const body = bytes.subarray(at, at + this.#leftBytes)
        at += body.length
        this.#leftBytes -= body.length
        take(body)
        if (this.#leftBytes === 0) this.#finishPart()
      } else {
        this.#pending[this.#pendingBytes++] = bytes[at++] ?? 0
        this.#readPending()
      }
    }
    return at
  }

  #readPending(): void {
    const octets = this.#pending.subarray(0, this.#pendingBytes)
    if (this.#state === 'header') {
      // The tag is judged by itself, before a length that only unwanted packets have.
      if (octets.length === 1) this.#accept(readTag(octets.readUInt8(), this.#place))
      const header = readPacketHeader(octets, 0, this.#place)
      if (header !== undefined) this.#beginPart(header)
    } else {
      const length = readLength(octets, 0)
      if (length !== undefined) this.#beginPart(length)
    }
  }

  #beginPart(length: BodyLength): void {
    this.#pendingBytes = 0
    this.#leftBytes = length.bodyBytes
    this.#moreParts = length.partial
    this.#state = 'body'
    if (this.#leftBytes === 0) this.#finishPart()
  }

  #finishPart(): void {
    this.#state = this.#moreParts ? 'length' : 'ended'
  }
}
