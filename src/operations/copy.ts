/**
 * copy: brings the sealed backups of one repository to a second one, byte for byte, without any identity. Every byte is held
 * against the signed manifest on its way, and each object is looked at where it lies; the manifest comes last, so that a
 * copy that is killed leaves debris and no backup, and the next one goes on. What the second repository's own retention
 * removed is not brought back.
 */
import { createHash } from 'node:crypto'
import { asCoffreError, CoffreError } from '../errors.ts'
import { totalSealedBytes, type Artifact } from '../model/manifest.ts'
import { remember } from '../model/retention/ledger.ts'
import { envelopeHeadLimitBytes, readEnvelope } from '../openpgp/envelope.ts'
import { verifiedChunks } from '../pipeline/open.ts'
import { artifactKey, manifestKey, restoreGuideKey, signatureKey } from '../repository/layout.ts'
import { readLedger } from '../repository/ledger.ts'
import { Lease } from '../repository/lease.ts'
import { openReplica, replicate } from '../repository/replica.ts'
import { isBroken, type Backup, type Repository } from '../repository/repository.ts'
import { assertStored } from '../repository/stored-artifact.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'
import type { Context } from './context.ts'

export interface CopyRequest {
  readonly from: Repository
  readonly to: ObjectStore
  /** The root that both are trusted by. */
  readonly root: string
  /** Undefined: all. */
  readonly source: string | undefined
}

export interface CopyResult {
  readonly from: string
  readonly to: string
  readonly copied: readonly { readonly id: string; readonly source: string; readonly bytes: number }[]
  /** How many were there already. */
  readonly present: number
  /** What could not be copied, and why; the rest was. */
  readonly failed: readonly { readonly id: string; readonly source: string; readonly message: string }[]
}

const leaseDurationMs = 5 * 60_000
const manifestLimitBytes = 64 * 1024 * 1024

/** Throws what concerns all of it: the second repository away, full, or another one; its lease held. */
export async function copy(context: Context, request: CopyRequest): Promise<CopyResult> {
  const { from, source } = request
  const to = await openReplica(from, request.to, request.root)
  const removed = remember((await readLedger(to)).entries).removed
  const there = new Set((await to.refs(source)).map(({ id }) => id))
  const copied: { id: string; source: string; bytes: number }[] = []
  const failed: { id: string; source: string; message: string }[] = []
  let present = 0
  for (const backup of await from.readAll(source)) {
    const { ref } = backup
    if (there.has(ref.id)) present += 1
    if (there.has(ref.id) || removed.has(ref.id)) continue
    if (isBroken(backup)) {
      failed.push({ ...ref, message: backup.error.message })
      continue
    }
    try {
      await copyOne(context, from, to, backup)
      copied.push({ ...ref, bytes: totalSealedBytes(backup.manifest) })
    } catch (thrown) {
      const error = asCoffreError(thrown)
      // One backup that is damaged must not keep the others from a second place.
      if (error.code !== 'ERR_DIGEST') throw error
      failed.push({ ...ref, message: error.message })
    }
  }
  return { from: from.store.description, to: to.store.description, copied, present, failed }
}

async function copyOne(context: Context, from: Repository, to: Repository, backup: Backup): Promise<void> {
  const { ref, manifest } = backup
  const { holder, now } = context
  await using lease = await Lease.acquire(to.store, {
    source: ref.source,
    holder,
    durationMs: leaseDurationMs,
    now,
  })
  for (const artifact of manifest.artifacts) await copyArtifact(context, from, to, backup, artifact)
  await assertGuide(from.store, backup)
  await replicate(from.store, to.store, restoreGuideKey(ref))
  await lease.assertHeld()
  context.signal.throwIfAborted()
  const key = manifestKey(ref)
  await replicate(from.store, to.store, signatureKey(key))
  await replicate(from.store, to.store, key, key, manifestLimitBytes)
  const stored = await to.read(ref)
  if (stored.manifestSha256 !== backup.manifestSha256)
    throw new CoffreError(
      'ERR_NOT_STORED',
      `${key} in ${to.store.description} is not the one that was copied`,
    )
}

async function assertGuide(store: ObjectStore, { ref, manifest }: Backup): Promise<void> {
  const { bytes, sha256 } = manifest.restoreGuide
  const guide = await readObject(store, restoreGuideKey(ref), { limitBytes: bytes })
  if (createHash('sha256').update(guide).digest('hex') !== sha256)
    throw new CoffreError('ERR_DIGEST', `RESTORE.md of ${ref.id} differs from what was signed`)
}

async function copyArtifact(
  { signal }: Context,
  from: Repository,
  to: Repository,
  { ref }: Backup,
  artifact: Artifact,
): Promise<void> {
  const key = artifactKey(ref, artifact.name)
  if ((await to.store.head(key, { signal })) !== undefined) {
    if (await isWhole(to.store, key, artifact, signal)) return
    await to.store.delete(key, { signal })
  }
  const missing = (await from.store.head(key, { signal })) === undefined
  if (missing) throw new CoffreError('ERR_DIGEST', `${artifact.name} of ${ref.id} is missing`)
  const head: Buffer[] = []
  await to.store.put(key, asSigned(from.store.get(key, { signal }), artifact, head), { signal })
  const envelope = (head[0] ?? Buffer.alloc(0)).subarray(0, artifact.envelope.bytes)
  const { keyIds } = readEnvelope(head[0] ?? envelope)
  await assertStored(to.store, { key, bytes: artifact.bytes, envelope, keyIds })
}

/** The artifact's bytes, none of them before its chunk was found to be the signed one. `head` gets its first packets. */
async function* asSigned(
  stored: AsyncIterable<Buffer>,
  artifact: Artifact,
  head: Buffer[],
): AsyncGenerator<Buffer> {
  const whole = createHash('sha256')
  for await (const chunk of verifiedChunks(stored, artifact)) {
    whole.update(chunk)
    // The chunk's memory is used again for the next one, and a store may keep what it is given for a while.
    const own = Buffer.from(chunk)
    if (head.length === 0) head.push(own.subarray(0, envelopeHeadLimitBytes))
    yield own
  }
  if (whole.digest('hex') !== artifact.sha256)
    throw new CoffreError('ERR_DIGEST', `${artifact.name} differs from what was signed`)
}

/** Left by a copy that was killed. */
async function isWhole(
  store: ObjectStore,
  key: string,
  artifact: Artifact,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    for await (const bytes of asSigned(store.get(key, { signal }), artifact, [])) void bytes
    return true
  } catch (error) {
    if (error instanceof CoffreError && error.code === 'ERR_DIGEST') return false
    throw error
  }
}
