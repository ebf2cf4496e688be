/**
 * verify: are the bytes intact? Every object a manifest names is read back to its last byte and held against it:
 * size, SHA-256, chunks, envelope, recipients; and the chain from each manifest to the one before it. Needs no identity.
 */
import { createHash } from 'node:crypto'
import { asCoffreError, CoffreError, type ErrorCode } from '../errors.ts'
import type { Artifact } from '../model/manifest.ts'
import { readEnvelope, envelopeHeadLimitBytes } from '../openpgp/envelope.ts'
import { verifiedChunks } from '../pipeline/open.ts'
import { artifactKey, restoreGuideKey } from '../repository/layout.ts'
import { isBroken, type Backup, type BrokenBackup, type Repository } from '../repository/repository.ts'
import { assertPresent } from '../repository/stored-artifact.ts'
import { readObject } from '../storage/object-store.ts'
import type { Context } from './context.ts'
import { findBackup } from './find-backup.ts'

export interface Problem {
  readonly code: ErrorCode
  /** The object's name within the backup; null where the backup itself is meant. */
  readonly artifact: string | null
  readonly message: string
}

export interface VerifyResult {
  readonly ok: boolean
  readonly backups: readonly {
    readonly id: string
    readonly source: string
    readonly ok: boolean
    readonly problems: readonly Problem[]
  }[]
}

export interface VerifyRequest {
  readonly repository: Repository
  /** Backup ids or `latest`; undefined for all. */
  readonly ids: readonly string[] | undefined
  readonly source: string | undefined
  /** The recipients' pinned fingerprints: a backup sealed to others is a problem. */
  readonly pins: readonly string[]
}

export async function verify(context: Context, request: VerifyRequest): Promise<VerifyResult> {
  const { repository, ids, source } = request
  const all = await repository.readAll(source)
  const chosen: (Backup | BrokenBackup)[] = []
  if (ids === undefined) chosen.push(...all)
  else {
    for (const id of ids) {
      const broken = all.find((backup) => isBroken(backup) && backup.ref.id === id)
      chosen.push(broken ?? (await findBackup(repository, { id, source })))
    }
  }
  const totalBytes = chosen.reduce((sum, backup) => sum + (isBroken(backup) ? 0 : sealedBytes(backup)), 0)
  let doneBytes = 0
  context.emit({ type: 'stage', stage: 'checking' })
  const backups = []
  for (const backup of chosen) {
    const problems = isBroken(backup)
      ? [{ code: backup.error.code, artifact: 'manifest.json', message: backup.error.message }]
      : await problemsOf(context, request, backup, all, (bytes) => {
          doneBytes += bytes
          context.emit({ type: 'progress', stage: 'checking', doneBytes, totalBytes })
        })
    backups.push({ id: backup.ref.id, source: backup.ref.source, ok: problems.length === 0, problems })
  }
  return { ok: backups.every(({ ok }) => ok), backups }
}

function sealedBytes({ manifest }: Backup): number {
  return manifest.artifacts.reduce((sum, { bytes }) => sum + bytes, 0)
}

async function problemsOf(
  context: Context,
  { repository, pins }: VerifyRequest,
  backup: Backup,
  all: readonly (Backup | BrokenBackup)[],
  onBytes: (bytes: number) => void,
): Promise<readonly Problem[]> {
  const problems: Problem[] = []
  const attempt = async (artifact: string | null, check: () => Promise<void>): Promise<void> => {
    try {
      await check()
    } catch (thrown) {
      context.signal.throwIfAborted()
      const { code, message } = asCoffreError(thrown)
      problems.push({ code, artifact, message })
    }
  }
  await attempt(null, async () => assertChain(backup, all))
  await attempt(null, async () => assertRecipients(repository, backup, pins))
  await attempt('RESTORE.md', () => verifyGuide(context, repository, backup))
  for (const artifact of backup.manifest.artifacts) {
    await attempt(artifact.name, () => verifyArtifact(context, repository, backup, artifact, onBytes))
  }
  return problems
}

/** A gap in the chain means a manifest was taken away or put between; pruned predecessors are simply not there. */
function assertChain({ ref, manifest }: Backup, all: readonly (Backup | BrokenBackup)[]): void {
  const before = all.find(
    (other) =>
      !isBroken(other) &&
      other.ref.source === ref.source &&
      other.manifest.sequence === manifest.sequence - 1,
  )
  if (before !== undefined && !isBroken(before) && before.manifestSha256 !== manifest.previous) {
    throw new CoffreError(
      'ERR_SIGNATURE',
      `does not follow ${before.ref.id}, which is the one before it by number`,
    )
  }
  const twin = all.find(
    (other) =>
      !isBroken(other) &&
      other.ref.source === ref.source &&
      other.ref.id !== ref.id &&
      other.manifest.sequence === manifest.sequence,
  )
  if (twin !== undefined) throw new CoffreError('ERR_SIGNATURE', `has the same number as ${twin.ref.id}`)
}

/** Exactly those of the root-signed keyring that was in force, key and subkey; and none that is not pinned. */
function assertRecipients({ trust }: Repository, { manifest }: Backup, pins: readonly string[]): void {
  const named = (recipients: readonly { fingerprint: string; subkey: string }[]): string =>
    recipients
      .map(({ fingerprint, subkey }) => `${fingerprint} ${subkey}`)
      .toSorted()
      .join()
  if (named(manifest.recipients) !== named(trust.keyrings.get(manifest.keyring)?.recipients ?? [])) {
    throw new CoffreError(
      'ERR_SIGNATURE',
      `is not sealed to exactly the recipients of keyring ${manifest.keyring}`,
    )
  }
  const stranger = manifest.recipients.find(({ fingerprint }) => !pins.includes(fingerprint))
  if (stranger !== undefined) {
    throw new CoffreError(
      'ERR_PIN',
      `is sealed to ${stranger.fingerprint}, which this configuration does not pin`,
    )
  }
}

async function verifyGuide(
  { signal }: Context,
  { store }: Repository,
  { ref, manifest }: Backup,
): Promise<void> {
  const { bytes, sha256 } = manifest.restoreGuide
  await assertPresent(store, restoreGuideKey(ref), manifest.restoreGuide, signal)
  const guide = await readObject(store, restoreGuideKey(ref), { limitBytes: bytes, signal })
  if (createHash('sha256').update(guide).digest('hex') !== sha256)
    throw new CoffreError('ERR_DIGEST', 'RESTORE.md differs from what was signed')
}

async function verifyArtifact(
  context: Context,
  repository: Repository,
  { ref, manifest }: Backup,
  artifact: Artifact,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const key = artifactKey(ref, artifact.name)
  await assertPresent(repository.store, key, artifact, context.signal)
  const whole = createHash('sha256')
  let first: Buffer | undefined
  for await (const chunk of verifiedChunks(repository.store.get(key, { signal: context.signal }), artifact)) {
    first ??= Buffer.from(chunk.subarray(0, envelopeHeadLimitBytes))
    whole.update(chunk)
    onBytes(chunk.length)
  }
  if (whole.digest('hex') !== artifact.sha256)
    throw new CoffreError('ERR_DIGEST', `${artifact.name} differs from what was signed`)
  assertEnvelope(
    first ?? Buffer.alloc(0),
    artifact,
    manifest.recipients.map(({ subkey }) => subkey.slice(-16)),
  )
}

/** The packets' labels prove nothing by themselves, but a label that does not fit the signed recipients is a fault. */
function assertEnvelope(first: Buffer, artifact: Artifact, keyIds: readonly string[]): void {
  const envelope = readEnvelope(first)
  const digest = createHash('sha256').update(first.subarray(0, envelope.bytes)).digest('hex')
  if (
    envelope.bytes !== artifact.envelope.bytes ||
    digest !== artifact.envelope.sha256 ||
    envelope.keyIds.join() !== keyIds.join()
  ) {
    throw new CoffreError(
      'ERR_DIGEST',
      `the envelope of ${artifact.name} is not for the recipients that were signed`,
    )
  }
}
