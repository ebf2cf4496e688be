/**
 * backup: one complete backup of one source, or none. Preflight, lease, snapshot, everything read in it at once and sealed as it
 * streams, inventory, signature, manifest. Whatever fails before the manifest leaves debris and no backup.
 */
import { randomBytes } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { newBackupId, type BackupId } from '../model/backup-id.ts'
import { encodeJson } from '../model/canonical-json.ts'
import { formatDuration } from '../model/duration.ts'
import { parseInventory } from '../model/inventory.ts'
import { chunkBytes, totalSealedBytes, type Manifest } from '../model/manifest.ts'
import type { Emit } from '../observe/events.ts'
import { compressionSuffix, type Compression } from '../pipeline/compression.ts'
import { Lanes } from '../pipeline/lanes.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import { dumpOptions } from '../postgres/definitions.ts'
import { Heartbeat } from '../postgres/heartbeat.ts'
import { newApplicationName, RunSessions } from '../postgres/run-sessions.ts'
import { SourceSnapshot } from '../postgres/source-snapshot.ts'
import { wireAddress } from '../postgres/wire/wire-address.ts'
import { Lease } from '../repository/lease.ts'
import { isBroken, newestOf, type Backup, type Repository } from '../repository/repository.ts'
import { restoreGuide } from '../repository/restore-guide.ts'
import { ArtifactWriter } from './artifact-writer.ts'
import { composeInventory, readEverything, type ReadBackup } from './backup-reading.ts'
import { checkDumpVersions } from './check-versions.ts'
import type { Context } from './context.ts'
import { preflight } from './preflight.ts'
import { sealingKeys, type SealingKeys, type SealingKeysRequest } from './sealing-keys.ts'

export interface SourceRequest {
  readonly name: string
  readonly access: ServerAccess
  readonly jobs: 'auto' | number
  readonly globals: 'used' | 'all'
  /** A snapshot that is being read longer than this fails the backup. */
  readonly maxSnapshotAgeMs: number
}

export interface BackupRequest extends Omit<SealingKeysRequest, 'source' | 'repository'> {
  readonly source: SourceRequest
  readonly repository: Repository
  readonly compression: Compression
}

export interface BackupResult {
  readonly id: BackupId
  readonly source: string
  readonly repository: string
  readonly snapshotTime: string
  readonly durationSeconds: number
  readonly plainBytes: number
  readonly sealedBytes: number
  readonly ratio: number
  readonly artifacts: readonly {
    readonly name: string
    readonly kind: string
    readonly bytes: number
    readonly sha256: string
  }[]
  readonly tables: number
  readonly rows: number
  /** Not empty: done, but degraded. */
  readonly warnings: readonly string[]
}

const leaseDurationMs = 5 * 60_000
const lockTimeoutMs = 60_000
/** Whoever watches a backup sees within this time that its snapshot was lost. */
const heartbeatMs = 5000
const ageCheckMs = 1000
const clockToleranceMs = 5 * 60_000

export async function backup(context: Context, request: BackupRequest): Promise<BackupResult> {
  const warnings: string[] = []
  const emit: Emit = (event) => {
    if (event.type === 'warning') warnings.push(event.message)
    context.emit(event)
  }
  const made = await makeBackup({ ...context, emit }, request)
  return { ...made, warnings }
}

async function makeBackup(context: Context, request: BackupRequest): Promise<Omit<BackupResult, 'warnings'>> {
  const startedAt = context.now()
  const { source, repository } = request
  const keys = await sealingKeys(context, { ...request, source: source.name })
  const options = { environment: context.environment, signal: context.signal }
  const applicationName = newApplicationName(`coffre ${source.name}`)
  // Their threads start while this one looks at the server.
  await using lanes = new Lanes(jobsOf(context, source), context.signal)
  context.emit({ type: 'stage', stage: 'connecting' })
  const access = await preflight(context, source.access, {
    ...options,
    applicationName,
    jobs: jobsOf(context, source),
  })
  const { pgDump } = await checkDumpVersions(context, access, applicationName)
  await using lease = await Lease.acquire(repository.store, {
    source: source.name,
    holder: context.holder,
    durationMs: leaseDurationMs,
    now: context.now,
  })
  if (lease.killedBefore !== undefined)
    context.emit({ type: 'note', message: `${lease.killedBefore} was killed: its lease is taken over` })
  const previous = await newestBackup(context, repository, source.name)
  context.emit({ type: 'stage', stage: 'snapshot' })
  await using sessions = new RunSessions(access, { ...options, applicationName })
  await using snapshot = await SourceSnapshot.take(access, {
    ...options,
    applicationName,
    lockTimeoutMs,
  })
  sayDoubts(context, snapshot)
  const snapshotTime = believableTime(context, snapshot.takenAt)
  const id = newBackupId(snapshotTime, randomBytes(4))
  await using writer = new ArtifactWriter({
    store: repository.store,
    ref: { source: source.name, id },
    recipients: keys.recipients,
    compression: request.compression,
    signal: context.signal,
  })
  const read = await readAll(
    context,
    { ...request, source: { ...source, access } },
    snapshot,
    writer,
    lanes,
    applicationName,
  )
  await snapshot.assertAlive()
  sessions.allEnded()
  context.emit({ type: 'stage', stage: 'inventory' })
  const inventory = encodeJson(composeInventory(snapshot, read, { backup: id, source: source.name }))
  parseInventory(inventory)
  await writer.fromBytes(
    { kind: 'inventory', name: `inventory.json.${compressionSuffix(request.compression)}.gpg` },
    inventory,
  )
  context.emit({ type: 'stage', stage: 'committing' })
  await lease.assertHeld()
  return await commitAll(
    context,
    request,
    { snapshotTime, snapshot, keys, writer, id, startedAt, pgDump, previous },
    read,
  )
}

async function commitAll(
  context: Context,
  request: BackupRequest,
  parts: Parts,
  read: ReadBackup,
): Promise<Omit<BackupResult, 'warnings'>> {
  context.signal.throwIfAborted()
  const manifest = describe(context, request, parts)
  parts.writer.keep()
  return summarize(await commit(context, request.repository, manifest, parts.keys), read)
}

function jobsOf(context: Context, { jobs }: SourceRequest): number {
  return jobs === 'auto' ? context.cores : jobs
}

function sayDoubts(context: Context, snapshot: SourceSnapshot): void {
  for (const message of snapshot.content.doubts) {
    context.emit({
      type: 'warning',
      message,
      hint: 'keep a dump of these by other means as well',
    })
  }
  if (!snapshot.content.server.refusesViews) {
    context.emit({
      type: 'note',
      message: 'this server is older than August 2024: update it (CVE-2024-7348)',
    })
  }
}

async function readAll(
  context: Context,
  request: BackupRequest,
  snapshot: SourceSnapshot,
  writer: ArtifactWriter,
  lanes: Lanes,
  applicationName: string,
): Promise<ReadBackup> {
  using heartbeat = new Heartbeat(() => snapshot.assertAlive(), heartbeatMs)
  using ageing = watchAge(context, request.source, snapshot)
  return await readEverything(context.emit, {
    environment: context.environment,
    access: request.source.access,
    wire: await snapshot.alone((session) => wireAddress(session, request.source.access, context.environment)),
    applicationName,
    lockTimeoutMs,
    globals: request.source.globals,
    snapshot,
    lost: AbortSignal.any([heartbeat.lost, ageing.lost]),
    writer,
    lanes,
    suffix: compressionSuffix(request.compression),
    warn: (message, hint) => context.emit({ type: 'warning', message, hint }),
  })
}

/**
 * By this host's clock, from when the snapshot was had. Its session ends at once: the server is waiting for that, and a lane
 * may be reading over it.
 */
function watchAge(
  context: Context,
  { name, maxSnapshotAgeMs }: SourceRequest,
  snapshot: SourceSnapshot,
): Heartbeat {
  const since = context.now().getTime()
  return new Heartbeat(async () => {
    const ageMs = context.now().getTime() - since
    if (ageMs <= maxSnapshotAgeMs) return
    await snapshot[Symbol.asyncDispose]()
    throw new CoffreError(
      'ERR_SOURCE',
      `the snapshot of ${name} is ${formatDuration(ageMs / 1000)} old and not yet read to the end, and max_snapshot_age allows ${formatDuration(maxSnapshotAgeMs / 1000)}: while it is open, vacuum removes nothing that was deleted since, on the whole server, and tables grow`,
      { hint: 'raise max_snapshot_age or jobs of this source, or back up from a standby' },
    )
  }, ageCheckMs)
}

/**
 * The source's clock gives the snapshot's time, unless it is far from this host's: ids sort by time, and one night with a
 * wrong clock must not put a backup years ahead of all others.
 */
function believableTime(context: Context, takenAt: Date): Date {
  const now = context.now()
  const apartMs = Math.abs(now.getTime() - takenAt.getTime())
  if (apartMs <= clockToleranceMs) return takenAt
  context.emit({
    type: 'warning',
    message: `the source's clock says ${takenAt.toISOString()}, this host's ${now.toISOString()}: the backup is dated by this host's`,
    hint: 'set both clocks by NTP',
  })
  return now
}

/** The one with the highest number that can be believed; broken ones are reported, and never linked to. */
async function newestBackup(
  context: Context,
  repository: Repository,
  source: string,
): Promise<Backup | undefined> {
  const found = await repository.readAll(source)
  for (const { ref, error } of found.filter(isBroken)) {
    const message = `${ref.id} cannot be believed: ${error.message}`
    context.emit({ type: 'warning', message, hint: 'coffre verify --all' })
  }
  return newestOf(found)
}

interface Parts {
  readonly snapshotTime: Date
  readonly keys: SealingKeys
  readonly snapshot: SourceSnapshot
  readonly writer: ArtifactWriter
  readonly id: BackupId
  readonly startedAt: Date
  readonly pgDump: string
  readonly previous: Backup | undefined
}

/** The manifest but for the restore guide, which is made from it. */
function describe(context: Context, request: BackupRequest, parts: Parts): Omit<Manifest, 'restoreGuide'> {
  const { repository, source, compression } = request
  const { server } = parts.snapshot.content
  return {
    type: 'coffre-manifest',
    format: 1,
    repository: repository.id,
    source: source.name,
    systemIdentifier: server.systemIdentifier,
    backup: parts.id,
    sequence: (parts.previous?.manifest.sequence ?? 0) + 1,
    previous: parts.previous?.manifestSha256 ?? null,
    keyring: repository.trust.current.version,
    snapshotTime: parts.snapshotTime.toISOString(),
    startedAt: parts.startedAt.toISOString(),
    finishedAt: context.now().toISOString(),
    coffre: context.version,
    postgres: { server: server.version, pgDump: parts.pgDump, minimumPgRestore: parts.pgDump },
    dumpOptions: [...dumpOptions],
    compression,
    chunkBytes,
    recipients: parts.keys.recipients.map(({ fingerprint, subkey }) => ({ fingerprint, subkey })),
    plainBytes: parts.writer.plainBytes,
    artifacts: [...parts.writer.artifacts],
  }
}

async function commit(
  context: Context,
  repository: Repository,
  described: Omit<Manifest, 'restoreGuide'>,
  keys: SealingKeys,
): Promise<Backup> {
  const { artifacts, ...head } = described
  const guide = restoreGuide(described)
  const manifest: Manifest = { ...head, restoreGuide: guide.facts, artifacts }
  const ref = { source: manifest.source, id: manifest.backup }
  return await repository.commit(ref, manifest, guide.bytes, keys.signingKey, context.now())
}

function summarize({ manifest }: Backup, read: ReadBackup): Omit<BackupResult, 'warnings'> {
  const sealedBytes = totalSealedBytes(manifest)
  return {
    id: manifest.backup,
    source: manifest.source,
    repository: manifest.repository,
    snapshotTime: manifest.snapshotTime,
    durationSeconds: (Date.parse(manifest.finishedAt) - Date.parse(manifest.startedAt)) / 1000,
    plainBytes: manifest.plainBytes,
    sealedBytes,
    ratio: manifest.plainBytes / sealedBytes,
    artifacts: manifest.artifacts.map(({ name, kind, bytes, sha256 }) => ({ name, kind, bytes, sha256 })),
    tables: read.tables.length,
    rows: read.tables.reduce((sum, { rows }) => sum + rows, 0),
  }
}
