/**
 * A repository of format 1. The order of writing lives here: artifacts first (by whoever seals them), then what
 * explains them, then the signature, the manifest last and create-only. Reading goes the other way: signature, then
 * parse, then believe. It knows nothing of PostgreSQL.
 */
import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { decodeJson, encodeJson } from '../model/canonical-json.ts'
import { manifestSigners } from '../model/keyring.ts'
import { parseManifest, type Manifest } from '../model/manifest.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { signDetached, verifyDetached } from '../openpgp/signature.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'
import {
  backupsFolder,
  manifestKey,
  manifestOf,
  repositoryKey,
  restoreGuideKey,
  signatureKey,
  sourceFolder,
  type BackupRef,
} from './layout.ts'
import { readSignature, readTrust, type Trust } from './trust.ts'

const manifestLimitBytes = 64 * 1024 * 1024

const repositorySchema = z.strictObject({
  type: z.literal('coffre-repository'),
  format: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  createdAt: z.iso.datetime(),
})

/** A backup whose manifest's signature was made by a host trusted for its source. */
export interface Backup {
  readonly ref: BackupRef
  readonly manifest: Manifest
  readonly manifestSha256: string
}

/** A manifest that is there and cannot be believed. */
export interface BrokenBackup {
  readonly ref: BackupRef
  readonly error: CoffreError
}

export class Repository {
  readonly store: ObjectStore
  readonly id: string
  readonly trust: Trust

  private constructor(store: ObjectStore, id: string, trust: Trust) {
    this.store = store
    this.id = id
    this.trust = trust
  }

  /** Throws ERR_STORE when there is none, ERR_SIGNATURE when its keyrings are not the pinned root's. */
  static async open(store: ObjectStore, rootFingerprint: string): Promise<Repository> {
    if ((await store.head(repositoryKey)) === undefined) {
      throw new CoffreError('ERR_STORE', `there is no repository in ${store.description}`, {
        hint: 'coffre init makes one',
      })
    }
    const parsed = repositorySchema.safeParse(
      decodeJson(await readObject(store, repositoryKey, { limitBytes: 65536 }), repositoryKey),
    )
    if (!parsed.success)
      throw new CoffreError('ERR_FORMAT', `${repositoryKey} is not that of a repository of format 1`)
    return new Repository(store, parsed.data.id, await readTrust(store, parsed.data.id, rootFingerprint))
  }

  /** Makes a repository's first object; its first keyring must follow before it can be opened. Returns its id. */
  static async create(store: ObjectStore, now: Date): Promise<string> {
    const id = randomBytes(16).toString('hex')
    await store.create(
      repositoryKey,
      encodeJson({ type: 'coffre-repository', format: 1, id, createdAt: now.toISOString() }),
    )
    return id
  }

  /** Every manifest that is there, oldest first, of one source or of all. */
  async refs(source: string | undefined): Promise<readonly BackupRef[]> {
    const refs: BackupRef[] = []
    for await (const { key } of this.store.list(
      source === undefined ? backupsFolder : sourceFolder(source),
    )) {
      const ref = manifestOf(key)
      if (ref !== undefined) refs.push(ref)
    }
    return refs.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /**
   * Reads one manifest and checks, over its raw bytes, the signature of a host trusted for that source; and that what
   * was signed is this backup of this source in this repository. Throws ERR_SIGNATURE, ERR_FORMAT or ERR_NO_BACKUP.
   */
  async read(ref: BackupRef): Promise<Backup> {
    const key = manifestKey(ref)
    if ((await this.store.head(key)) === undefined)
      throw new CoffreError('ERR_NO_BACKUP', `there is no backup ${ref.id} of ${ref.source}`)
    const bytes = await readObject(this.store, key, { limitBytes: manifestLimitBytes })
    const signature = await readSignature(this.store, key)
    const hosts = [...this.trust.keyrings.values()].flatMap((keyring) => manifestSigners(keyring, ref.source))
    const { fingerprint } = await verifyDetached(bytes, signature, [
      ...new Set(hosts.map(({ publicKey }) => publicKey)),
    ])
    const manifest = parseManifest(bytes)
    this.#assertBelievable(ref, manifest, fingerprint)
    return { ref, manifest, manifestSha256: createHash('sha256').update(bytes).digest('hex') }
  }

  /** All of them, the broken ones told apart, oldest first. */
  async readAll(source: string | undefined): Promise<readonly (Backup | BrokenBackup)[]> {
    const found: (Backup | BrokenBackup)[] = []
    for (const ref of await this.refs(source)) found.push(await this.tryRead(ref))
    return found
  }

  /** Like `read`, but what cannot be believed is returned, not thrown. */
  async tryRead(ref: BackupRef): Promise<Backup | BrokenBackup> {
    try {
      return await this.read(ref)
    } catch (error) {
      if (!(error instanceof CoffreError) || error.exitStatus !== 8) throw error
      return { ref, error }
    }
  }

  /**
   * The commit point. Everything the manifest names is already durable and was read back. Throws ERR_SIGNATURE, with
   * nothing written, for a manifest no reader would believe; ERR_EXISTS; ERR_NOT_STORED when it cannot be read again.
   */
  async commit(
    ref: BackupRef,
    manifest: Manifest,
    guide: Buffer,
    key: SigningKey,
    now: Date,
  ): Promise<Backup> {
    const bytes = encodeJson(manifest)
    parseManifest(bytes)
    this.#assertBelievable(ref, manifest, key.fingerprint)
    await this.store.create(restoreGuideKey(ref), guide)
    await this.store.create(signatureKey(manifestKey(ref)), Buffer.from(await signDetached(bytes, key, now)))
    await this.store.create(manifestKey(ref), bytes)
    return await this.#readBack(ref, createHash('sha256').update(bytes).digest('hex'))
  }

  /** What was signed, by whom, is this backup of this source in this repository, and was theirs to say. */
  #assertBelievable(ref: BackupRef, manifest: Manifest, signer: string): void {
    const key = manifestKey(ref)
    const keyring = this.trust.keyrings.get(manifest.keyring)
    const signers = keyring === undefined ? [] : manifestSigners(keyring, ref.source)
    if (!signers.some(({ fingerprint }) => fingerprint === signer)) {
      throw new CoffreError(
        'ERR_SIGNATURE',
        `${key} is signed by a key that keyring ${manifest.keyring} does not trust for ${ref.source}`,
      )
    }
    if (manifest.backup !== ref.id || manifest.source !== ref.source || manifest.repository !== this.id) {
      throw new CoffreError(
        'ERR_SIGNATURE',
        `${key} is the manifest of another backup (${manifest.source} ${manifest.backup}), moved here`,
      )
    }
  }

  async #readBack(ref: BackupRef, manifestSha256: string): Promise<Backup> {
    let cause: unknown
    try {
      const backup = await this.read(ref)
      if (backup.manifestSha256 === manifestSha256) return backup
    } catch (error) {
      const missing = error instanceof CoffreError && error.code === 'ERR_NO_BACKUP'
      if (!missing && !(error instanceof CoffreError && error.exitStatus === 8)) throw error
      cause = error
    }
    const message = 'the store does not give back the manifest it was given'
    throw new CoffreError('ERR_NOT_STORED', message, { cause })
  }
}

/** By the signed number, not by the time in the id: clocks go wrong. */
export function newestOf(backups: readonly (Backup | BrokenBackup)[]): Backup | undefined {
  let newest: Backup | undefined
  for (const backup of backups) {
    if (isBroken(backup)) continue
    if (newest === undefined || backup.manifest.sequence > newest.manifest.sequence) newest = backup
  }
  return newest
}

export function isBroken(backup: Backup | BrokenBackup): backup is BrokenBackup {
  return 'error' in backup
}
