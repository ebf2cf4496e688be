/**
 * One direction of a lane's bytes: a sender that waits once `piecesInFlight` are not yet taken, and a receiver that
 * says so each time it takes one. The same on both sides of the thread border.
 */
import { asCoffreError, type CoffreError } from '../errors.ts'
import { giveBack } from '../model/given-back.ts'
import { piecesInFlight } from './lane-tasks.ts'

export class PieceSender {
  readonly #post: (bytes: Uint8Array<ArrayBuffer>) => void
  #inFlight = 0
  #wake: (() => void) | undefined
  #failure: CoffreError | undefined

  constructor(post: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#post = post
  }

  /** The receiver took one. */
  taken(): void {
    this.#inFlight -= 1
    this.#wake?.()
  }

  /** No more will be taken: whoever waits, or sends, gets `error`. */
  fail(error: unknown): void {
    this.#failure ??= asCoffreError(error)
    this.#wake?.()
  }

  /** Gives the memory away: `bytes` must own its whole ArrayBuffer. */
  async send(bytes: Buffer): Promise<void> {
    while (this.#inFlight >= piecesInFlight && this.#failure === undefined) {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    if (this.#failure !== undefined) throw this.#failure
    this.#inFlight += 1
    this.#post(ownMemory(bytes))
  }
}

function ownMemory(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes
  const whole =
    bytes.byteOffset === 0 && bytes.byteLength === buffer.byteLength && buffer instanceof ArrayBuffer
  return whole ? new Uint8Array(buffer) : Uint8Array.from(bytes)
}

/** Each piece is gone when the next is asked for. */
export class PieceReceiver implements AsyncIterable<Buffer> {
  readonly #taken: () => void
  readonly #queue: Buffer[] = []
  #ended = false
  #failure: CoffreError | undefined
  #wake: (() => void) | undefined

  constructor(taken: () => void) {
    this.#taken = taken
  }

  receive(bytes: Uint8Array<ArrayBuffer>): void {
    this.#queue.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  fail(error: unknown): void {
    this.#failure ??= asCoffreError(error)
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const piece = this.#queue.shift()
      if (piece !== undefined) {
        this.#taken()
        yield piece
        giveBack(piece)
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    }
  }
}
