/** A repository in any store with nightly backups in it, an operator, and prune as it runs there. */
import { encodeJson } from '../../src/model/canonical-json.ts'
import { newBackupId } from '../../src/model/backup-id.ts'
import type { Keyring } from '../../src/model/keyring.ts'
import { generateKey, readSigningKey, type SigningKey } from '../../src/openpgp/keys.ts'
import { clientEnvironment } from '../../src/postgres/client-tools.ts'
import type { Context } from '../../src/operations/context.ts'
import { prune, type PruneRequest, type PruneResult } from '../../src/operations/prune.ts'
import { artifactKey, type BackupRef } from '../../src/repository/layout.ts'
import { Repository } from '../../src/repository/repository.ts'
import { writeKeyring } from '../../src/repository/trust.ts'
import type { ObjectStore } from '../../src/storage/object-store.ts'
import { host, keyringOf, manifestFor, root, signer, type Person } from './repository-bench.ts'
import { dayMs, usual } from './retained-backups.ts'

const made = await generateKey({
  name: 'operator',
  email: 'test@example.org',
  kind: 'ed25519',
  use: 'sign',
  validDays: undefined,
  passphrase: undefined,
  now: new Date('2020-01-01T00:00:00Z'),
})
export const operator: Person = { ...made, signing: await readSigningKey(Buffer.from(made.secretKey)) }

export const start = new Date('2026-11-23T03:00:00Z')
export const evening = (night: number): Date => new Date(start.getTime() + night * dayMs + 3_600_000)

export interface Pruned {
  readonly store: ObjectStore
  readonly repository: Repository
  /** The same repository seen through another store over the same bytes. */
  through(store: ObjectStore): Promise<Repository>
}

export async function foundRepository(store: ObjectStore): Promise<Pruned> {
  const id = await Repository.create(store, start)
  const keyring: Keyring = {
    ...keyringOf(id, 1),
    signers: [signer(host, 'host', ['koprogo', 'shop']), signer(operator, 'operator', [])],
  }
  await writeKeyring(store, keyring, root.signing, start)
  const through = (over: ObjectStore): Promise<Repository> => Repository.open(over, root.fingerprint)
  return { store, repository: await through(store), through }
}

/** As `backup` leaves it: artifacts, guide, signature, manifest. `night`: days after `start`. */
export async function addBackup(
  repository: Repository,
  night: number,
  {
    source = 'koprogo',
    sequence = night + 1,
    by = host,
  }: { source?: string; sequence?: number; by?: Person } = {},
): Promise<BackupRef> {
  const snapshotTime = new Date(start.getTime() + Math.round(night * dayMs))
  const tail = Buffer.from(`${sequence}`.padStart(4, '0').slice(-4))
  const ref = { source, id: newBackupId(snapshotTime, tail) }
  const { manifest, guide } = manifestFor(repository, ref, {
    snapshotTime: snapshotTime.toISOString(),
    sequence,
  })
  for (const { name } of manifest.artifacts)
    await repository.store.create(artifactKey(ref, name), encodeJson(name))
  await repository.commit(ref, manifest, guide, by.signing, snapshotTime)
  return ref
}

export function contextAt(now: Date, signal = new AbortController().signal): Context {
  const holder = { name: 'test', process: undefined, isGone: async () => false }
  return {
    now: () => now,
    signal,
    emit: () => undefined,
    environment: clientEnvironment({}),
    holder,
    version: '0.0.0',
    cores: 1,
  }
}

export async function pruneAt(
  repository: Repository,
  night: number,
  changes: Partial<PruneRequest> = {},
  signingKey: SigningKey = operator.signing,
): Promise<PruneResult> {
  return await prune(contextAt(evening(night)), {
    repository,
    policy: { ...usual, maxRemoveFraction: 0.5, newestWithinMs: 2 * dayMs },
    dryRun: false,
    signingKey,
    isProven: () => false,
    ...changes,
  })
}
