/**
 * seal: compress → encrypt → digest, pushed through synchronously. Plain bytes are gathered in one frame buffer (the
 * row digester's own memory where there are rows, so that they are copied once), and leave only as ciphertext.
 */
import { giveBack } from '../model/given-back.ts'
import { MessageSealer } from '../openpgp/message.ts'
import { ArtifactDigests, type ArtifactFacts } from './artifact-digests.ts'
import { compressFrame, frameBytes, type Compression } from './compression.ts'

/** What sealing one artifact takes. Every attempt has its own session key. */
export interface SealKey {
  readonly sessionKey: Buffer
  readonly envelope: Buffer
}

export interface Sealed {
  readonly facts: ArtifactFacts
  readonly plainBytes: number
}

export class ArtifactSealer {
  readonly #message: MessageSealer
  readonly #digests: ArtifactDigests
  readonly #compression: Compression
  readonly #frame: Uint8Array
  readonly #envelope: Buffer
  #used = 0
  #plainBytes = 0

  /** `frame`: memory to gather plain bytes in; at least `frameBytes` long. */
  constructor(key: SealKey, compression: Compression, frame: Uint8Array = Buffer.allocUnsafe(frameBytes)) {
    this.#message = new MessageSealer(Buffer.from(key.sessionKey))
    this.#envelope = Buffer.from(key.envelope)
    this.#digests = new ArtifactDigests(this.#envelope)
    this.#compression = compression
    this.#frame = frame
  }

  get plainBytes(): number {
    return this.#plainBytes
  }

  /** The artifact's first bytes: a copy, so that the receiver may take its memory. */
  begin(): Buffer[] {
    return [Buffer.from(Uint8Array.from(this.#envelope).buffer)]
  }

  /**
   * Takes plain bytes; returns what became ciphertext, in order. `stored` is told where in the frame each part now
   * lies, before the frame can be reused.
   */
  append(plain: Uint8Array, stored?: (offset: number, length: number) => void): Buffer[] {
    const pieces: Buffer[] = []
    for (let at = 0; at < plain.length; ) {
      const part = plain.subarray(at, at + frameBytes - this.#used)
      this.#frame.set(part, this.#used)
      stored?.(this.#used, part.length)
      this.#used += part.length
      at += part.length
      if (this.#used === frameBytes) pieces.push(...this.#flush())
    }
    this.#plainBytes += plain.length
    return pieces
  }

  finish(): { pieces: Buffer[]; sealed: Sealed } {
    const pieces = [
      ...(this.#used > 0 || this.#plainBytes === 0 ? this.#flush() : []),
      ...this.#count(this.#message.final()),
    ]
    return { pieces, sealed: { facts: this.#digests.finish(), plainBytes: this.#plainBytes } }
  }

  #flush(): Buffer[] {
    const compressed = compressFrame(this.#frame.subarray(0, this.#used), this.#compression)
    this.#used = 0
    const pieces = this.#count(this.#message.update(compressed))
    giveBack(compressed)
    return pieces
  }

  #count(pieces: Buffer[]): Buffer[] {
    for (const piece of pieces) this.#digests.addBody(piece)
    return pieces
  }
}

/** Seals a whole stream; the returned iterable is the artifact, `sealed()` its facts once it was read to the end. */
export function sealStream(
  plain: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  key: SealKey,
  compression: Compression,
): { artifact: AsyncIterable<Buffer>; sealed: () => Sealed | undefined } {
  let sealed: Sealed | undefined
  async function* artifact(): AsyncGenerator<Buffer> {
    const sealer = new ArtifactSealer(key, compression)
    yield* sealer.begin()
    for await (const bytes of plain) yield* sealer.append(bytes)
    const end = sealer.finish()
    yield* end.pieces
    sealed = end.sealed
  }
  return { artifact: artifact(), sealed: () => sealed }
}
