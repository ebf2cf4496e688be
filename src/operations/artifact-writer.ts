/**
 * Puts one backup's artifacts into the repository, from the lanes or from memory, and reads each back before it counts.
 * Keeps the list the manifest will be made of.
 */
import { CoffreError } from '../errors.ts'
import type { Artifact, ArtifactKind } from '../model/manifest.ts'
import type { Recipient } from '../openpgp/keys.ts'
import type { Compression } from '../pipeline/compression.ts'
import { sealStream, type Sealed, type SealKey } from '../pipeline/seal.ts'
import { artifactKey, type BackupRef } from '../repository/layout.ts'
import { assertStored } from '../repository/stored-artifact.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { newSealKey } from './sealing-keys.ts'

export interface ArtifactName {
  readonly kind: ArtifactKind
  readonly name: string
}

export interface LaneOutput<R extends Sealed> {
  readonly output: AsyncIterable<Buffer>
  readonly result: Promise<R>
}

/** For removing what a failed backup has stored: it must not hold up the error for long. */
const tidyingLimitMs = 5000

export class ArtifactWriter implements AsyncDisposable {
  readonly #store: ObjectStore
  readonly #ref: BackupRef
  readonly #recipients: readonly Recipient[]
  readonly #compression: Compression
  readonly #signal: AbortSignal
  readonly #artifacts: Artifact[] = []
  #stored: string[] = []
  #plainBytes = 0

  constructor(options: {
    store: ObjectStore
    ref: BackupRef
    recipients: readonly Recipient[]
    compression: Compression
    signal: AbortSignal
  }) {
    this.#store = options.store
    this.#ref = options.ref
    this.#recipients = options.recipients
    this.#compression = options.compression
    this.#signal = options.signal
  }

  /** In the order of their names; complete only when everything was written. */
  get artifacts(): readonly Artifact[] {
    return this.#artifacts.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  get plainBytes(): number {
    return this.#plainBytes
  }

  /** An artifact that a lane seals: `start` gets a fresh key and sets the lane going. */
  async fromLane<R extends Sealed>(
    artifact: ArtifactName,
    start: (seal: SealKey & { compression: Compression }) => LaneOutput<R>,
  ): Promise<R> {
    const key = await newSealKey(this.#recipients)
    const { output, result } = start({ ...key, compression: this.#compression })
    await this.#put(artifact, output)
    const sealed = await result
    await this.#confirm(artifact, key, sealed)
    return sealed
  }

  /** A small artifact that is already in memory. */
  async fromBytes(artifact: ArtifactName, plain: Buffer): Promise<void> {
    const key = await newSealKey(this.#recipients)
    const stream = sealStream([plain], key, this.#compression)
    await this.#put(artifact, stream.artifact)
    const sealed = stream.sealed()
    if (sealed === undefined)
      throw new CoffreError('ERR_NOT_STORED', `${artifact.name} was not read to its end`)
    await this.#confirm(artifact, key, sealed)
  }

  async #put({ name }: ArtifactName, bytes: AsyncIterable<Buffer>): Promise<void> {
    const key = artifactKey(this.#ref, name)
    await this.#store.put(key, bytes, { signal: this.#signal })
    this.#stored.push(key)
  }

  /** From here on a manifest may name what was stored: it stays, whatever happens. */
  keep(): void {
    this.#stored = []
  }

  /**
   * Removes what was stored and not kept, as far as the store and its credentials let us: without a manifest it is of no
   * use, and takes room where room may be what was missing. The rest is debris for whoever sweeps it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const signal = AbortSignal.timeout(tidyingLimitMs)
    try {
      for (const key of this.#stored) await this.#store.delete(key, { signal })
    } catch {
      // One refusal is like the next.
    }
  }

  async #confirm(
    { name, kind }: ArtifactName,
    { envelope }: SealKey,
    { facts, plainBytes }: Sealed,
  ): Promise<void> {
    const keyIds = this.#recipients.map(({ keyId }) => keyId)
    await assertStored(this.#store, {
      key: artifactKey(this.#ref, name),
      bytes: facts.bytes,
      envelope,
      keyIds,
    })
    this.#artifacts.push({ name, kind, ...facts })
    this.#plainBytes += plainBytes
  }
}
