/**
 * A backup an identity can read: hands out session keys and plain bytes, each artifact only after its envelope and its
 * ciphertext were found equal to the signed manifest.
 */
import { createHash } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { parseInventory, type Inventory } from '../model/inventory.ts'
import type { Artifact, ArtifactKind } from '../model/manifest.ts'
import { unwrapSessionKey } from '../openpgp/envelope.ts'
import type { Identity } from '../openpgp/keys.ts'
import { openArtifact } from '../pipeline/open.ts'
import { artifactKey } from '../repository/layout.ts'
import type { Backup, Repository } from '../repository/repository.ts'
import { assertPresent } from '../repository/stored-artifact.ts'
import { readObject } from '../storage/object-store.ts'

const inventoryLimitBytes = 1024 * 1024 * 1024

export class OpenedBackup {
  readonly backup: Backup
  readonly #repository: Repository
  readonly #identity: Identity
  readonly #signal: AbortSignal

  /** Throws ERR_NO_IDENTITY, before anything is fetched, when the identity is none of the recipients. */
  constructor(repository: Repository, backup: Backup, identity: Identity, signal: AbortSignal) {
    const { recipients } = backup.manifest
    if (!recipients.some(({ subkey }) => identity.subkeys.includes(subkey))) {
      const who = recipients.map(({ fingerprint }) => fingerprint).join(', ')
      throw new CoffreError(
        'ERR_NO_IDENTITY',
        `${identity.fingerprint} does not open ${backup.ref.id}: it is sealed to ${who}`,
      )
    }
    this.#repository = repository
    this.backup = backup
    this.#identity = identity
    this.#signal = signal
  }

  artifacts(kind: ArtifactKind): readonly Artifact[] {
    return this.backup.manifest.artifacts.filter((artifact) => artifact.kind === kind)
  }

  artifact(name: string): Artifact {
    const found = this.backup.manifest.artifacts.find((artifact) => artifact.name === name)
    if (found === undefined)
      throw new CoffreError('ERR_FORMAT', `the inventory names ${name}, the manifest does not`)
    return found
  }

  /** The sealed bytes as they are stored. */
  stored(artifact: Artifact): AsyncIterable<Buffer> {
    return this.#repository.store.get(artifactKey(this.backup.ref, artifact.name), { signal: this.#signal })
  }

  async sessionKey(artifact: Artifact): Promise<Buffer> {
    const key = artifactKey(this.backup.ref, artifact.name)
    await assertPresent(this.#repository.store, key, artifact, this.#signal)
    const range = { start: 0, length: artifact.envelope.bytes }
    const envelope = await readObject(this.#repository.store, key, {
      range,
      limitBytes: artifact.envelope.bytes,
      signal: this.#signal,
    })
    if (createHash('sha256').update(envelope).digest('hex') !== artifact.envelope.sha256) {
      throw new CoffreError('ERR_DIGEST', `the envelope of ${artifact.name} differs from what was signed`)
    }
    return await unwrapSessionKey(envelope, this.#identity)
  }

  async *plain(artifact: Artifact): AsyncGenerator<Buffer> {
    const sessionKey = await this.sessionKey(artifact)
    const { compression, plainBytes } = this.backup.manifest
    const key = { sessionKey, algorithm: compression.algorithm, plainLimitBytes: plainBytes }
    yield* openArtifact(this.stored(artifact), artifact, key)
  }

  /** Throws ERR_FORMAT when it is not the inventory of this backup. */
  async inventory(): Promise<Inventory> {
    const [artifact] = this.artifacts('inventory')
    if (artifact === undefined) throw new CoffreError('ERR_FORMAT', 'the backup has no inventory')
    const parts: Buffer[] = []
    let sizeBytes = 0
    for await (const bytes of this.plain(artifact)) {
      sizeBytes += bytes.length
      if (sizeBytes > inventoryLimitBytes)
        throw new CoffreError('ERR_FORMAT', 'the inventory is larger than 1 GiB')
      parts.push(bytes)
    }
    const inventory = parseInventory(Buffer.concat(parts))
    if (inventory.backup !== this.backup.ref.id || inventory.source !== this.backup.ref.source) {
      throw new CoffreError('ERR_FORMAT', 'the inventory is that of another backup')
    }
    return inventory
  }
}
