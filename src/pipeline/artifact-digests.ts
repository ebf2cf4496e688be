/**
 * SHA-256 over an artifact's bytes as they pass, in the three ways the manifest records: the whole (for `sha256sum -c`),
 * the body (which outlives a new envelope) and every 8 MiB (so that a reader can check before use and still stream).
 */
import { createHash } from 'node:crypto'
import { chunkBytes, type Artifact } from '../model/manifest.ts'

export type ArtifactFacts = Omit<Artifact, 'name' | 'kind'>

export class ArtifactDigests {
  readonly #whole = createHash('sha256')
  readonly #body = createHash('sha256')
  readonly #envelope = createHash('sha256')
  readonly #envelopeBytes: number
  #chunk = createHash('sha256')
  #bytes = 0
  readonly #chunks: string[] = []

  constructor(envelope: Buffer) {
    this.#envelopeBytes = envelope.length
    this.#envelope.update(envelope)
    this.#count(envelope)
  }

  addBody(piece: Buffer): void {
    this.#body.update(piece)
    this.#count(piece)
  }

  finish(): ArtifactFacts {
    if (this.#bytes % chunkBytes !== 0) this.#chunks.push(this.#chunk.digest('hex'))
    return {
      bytes: this.#bytes,
      sha256: this.#whole.digest('hex'),
      envelope: { bytes: this.#envelopeBytes, sha256: this.#envelope.digest('hex') },
      body: { bytes: this.#bytes - this.#envelopeBytes, sha256: this.#body.digest('hex') },
      chunks: this.#chunks,
    }
  }

  #count(piece: Buffer): void {
    this.#whole.update(piece)
    for (let at = 0; at < piece.length; ) {
      const room = chunkBytes - (this.#bytes % chunkBytes)
      const part = piece.subarray(at, at + room)
      this.#chunk.update(part)
      this.#bytes += part.length
      at += part.length
      if (part.length === room) {
        this.#chunks.push(this.#chunk.digest('hex'))
        this.#chunk = createHash('sha256')
      }
    }
  }
}
