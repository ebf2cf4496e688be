/**
 * A repository in memory with people who may sign there and people who may not; what they commit, and what is put there
 * behind the repository's back.
 */
import { parseBackupId, type BackupId } from '../../src/model/backup-id.ts'
import type { Keyring, Signer } from '../../src/model/keyring.ts'
import type { Manifest } from '../../src/model/manifest.ts'
import { generateKey, readSigningKey, type GeneratedKey, type SigningKey } from '../../src/openpgp/keys.ts'
import { signDetached } from '../../src/openpgp/signature.ts'
import { manifestKey, signatureKey, type BackupRef } from '../../src/repository/layout.ts'
import { Repository } from '../../src/repository/repository.ts'
import { restoreGuide } from '../../src/repository/restore-guide.ts'
import { writeKeyring } from '../../src/repository/trust.ts'
import { MemoryStore } from '../contract/memory-store.ts'
import { sampleManifest } from './sample-manifest.ts'

export const now = new Date('2026-11-23T02:05:00Z')

const request = {
  email: 'test@example.org',
  kind: 'ed25519',
  validDays: undefined,
  passphrase: undefined,
  now: new Date('2026-11-23T02:00:00Z'),
} as const

export type Person = GeneratedKey & { readonly signing: SigningKey }
async function person(name: string): Promise<Person> {
  const key = await generateKey({ ...request, name, use: 'sign' })
  return { ...key, signing: await readSigningKey(Buffer.from(key.secretKey)) }
}

export const [root, otherRoot, host, otherHost, driller] = await Promise.all([
  person('root'),
  person('other root'),
  person('host'),
  person('other host'),
  person('driller'),
])
const reader = await generateKey({ ...request, name: 'reader', use: 'encrypt' })

export const signer = (key: GeneratedKey, role: Signer['role'], sources: string[]): Signer => ({
  fingerprint: key.fingerprint,
  role,
  sources,
  publicKey: key.publicKey,
})

export function keyringOf(repository: string, version: number, changes: Partial<Keyring> = {}): Keyring {
  return {
    type: 'coffre-keyring',
    format: 1,
    repository,
    version,
    createdAt: now.toISOString(),
    root: { fingerprint: root.fingerprint, publicKey: root.publicKey },
    recipients: [{ fingerprint: reader.fingerprint, subkey: 'B'.repeat(40), publicKey: reader.publicKey }],
    signers: [signer(host, 'host', ['koprogo', 'shop']), signer(driller, 'driller', ['koprogo'])],
    ...changes,
  }
}

/** A new repository in a store, with its first keyring. */
export async function made(
  store = new MemoryStore(),
): Promise<{ store: MemoryStore; id: string; repository: Repository }> {
  const id = await Repository.create(store, now)
  await writeKeyring(store, keyringOf(id, 1), root.signing, now)
  return { store, id, repository: await Repository.open(store, root.fingerprint) }
}

export const backupId = (n: number): BackupId =>
  parseBackupId(`202611${String(n).padStart(2, '0')}T020000Z-7f3a9c2e`)
export const refOf = (n: number, source = 'koprogo'): BackupRef => ({ source, id: backupId(n) })

export function manifestFor(
  repository: Repository,
  ref: BackupRef,
  changes: Partial<Manifest> = {},
): { manifest: Manifest; guide: Buffer } {
  const described = sampleManifest({
    repository: repository.id,
    source: ref.source,
    backup: ref.id,
    ...changes,
  })
  const { bytes, facts } = restoreGuide(described)
  return { manifest: { ...described, restoreGuide: facts }, guide: bytes }
}

export async function commit(
  repository: Repository,
  ref: BackupRef,
  changes: Partial<Manifest> = {},
  by = host,
): Promise<Manifest> {
  const { manifest, guide } = manifestFor(repository, ref, changes)
  return (await repository.commit(ref, manifest, guide, by.signing, now)).manifest
}

/** Writes what `commit` would refuse to. */
export async function forge(store: MemoryStore, ref: BackupRef, bytes: Buffer, by: Person): Promise<void> {
  await store.create(signatureKey(manifestKey(ref)), Buffer.from(await signDetached(bytes, by.signing, now)))
  await store.create(manifestKey(ref), bytes)
}

export async function replace(store: MemoryStore, key: string, bytes: Buffer): Promise<void> {
  await store.delete(key)
  await store.create(key, bytes)
}
