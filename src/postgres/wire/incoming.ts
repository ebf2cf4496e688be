/**
 * What arrives from the server, taken apart where it lies: the rows of a COPY are moved together in place, without the
 * five bytes that stand before each, and messages that matter are kept. Nothing is allocated for a row: at a gigabyte a
 * second that is what reading costs.
 */
import { CoffreError } from '../../errors.ts'
import type { Message } from './messages.ts'

const headBytes = 5
const copyData = 0x64
/** Errors and logins are short. */
const longestMessageBytes = 1024 * 1024
/** Authentication, ErrorResponse, ReadyForQuery, CommandComplete, CopyInResponse; nobody asks for the others. */
const kept: ReadonlySet<number> = new Set(Buffer.from('REZCG', 'latin1'))

export interface Taken {
  /** So many bytes of rows lie at the beginning now. */
  readonly rowBytes: number
  readonly messages: readonly Message[]
  /** So many bytes at the end begin a message: they must stand before what arrives next. */
  readonly restBytes: number
}

export class Incoming {
  #rowLeft = 0
  #otherLeft = 0
  #type = 0
  #parts: Buffer[] = []

  /** Throws ERR_POSTGRES for what cannot be a message. */
  take(bytes: Buffer): Taken {
    const messages: Message[] = []
    const end = bytes.length
    let at = 0
    let to = 0
    while (at < end) {
      if (this.#rowLeft > 0) {
        const length = Math.min(this.#rowLeft, end - at)
        bytes.copyWithin(to, at, at + length)
        to += length
        at += length
        this.#rowLeft -= length
      } else if (this.#otherLeft > 0) {
        const length = Math.min(this.#otherLeft, end - at)
        if (kept.has(this.#type)) this.#parts.push(Buffer.from(bytes.subarray(at, at + length)))
        at += length
        this.#otherLeft -= length
        if (this.#otherLeft === 0) this.#finish(messages)
      } else {
        if (end - at < headBytes) break
        this.#begin(bytes[at] ?? 0, bytes.readInt32BE(at + 1) - 4, messages)
        at += headBytes
      }
    }
    return { rowBytes: to, messages, restBytes: end - at }
  }

  #begin(type: number, lengthBytes: number, messages: Message[]): void {
    if (lengthBytes < 0 || (kept.has(type) && lengthBytes > longestMessageBytes))
      throw new CoffreError('ERR_POSTGRES', 'the server sent what is no message')
    if (type === copyData) {
      this.#rowLeft = lengthBytes
      return
    }
    this.#type = type
    this.#otherLeft = lengthBytes
    if (lengthBytes === 0) this.#finish(messages)
  }

  #finish(messages: Message[]): void {
    if (kept.has(this.#type))
      messages.push({ type: String.fromCharCode(this.#type), body: Buffer.concat(this.#parts) })
    this.#parts = []
  }
}
