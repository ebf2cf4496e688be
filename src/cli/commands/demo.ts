/**
 * coffre demo: the main job before your eyes, on a throw-away server with a database of co-owned buildings that people
 * keep writing to. Everything it makes is in two folders that it names, and is removed at the end.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { RepositoryConfig } from '../../config.ts'
import { CoffreError } from '../../errors.ts'
import { formatDuration } from '../../model/duration.ts'
import { generateKey, readIdentity, readSigningKey, type GeneratedKey } from '../../openpgp/keys.ts'
import { backup, type BackupResult } from '../../operations/backup.ts'
import { init, type InitKeys, type InitResult } from '../../operations/init.ts'
import { restore } from '../../operations/restore.ts'
import { verify } from '../../operations/verify.ts'
import { resolveLevel } from '../../pipeline/compression.ts'
import type { ScratchCluster } from '../../postgres/scratch-cluster.ts'
import { Repository } from '../../repository/repository.ts'
import { openWithGpg } from '../demo/open-with-gpg.ts'
import { startDemoS3 } from '../demo/s3.ts'
import { demoDatabase, loadDatabase, startCluster, whileWriting } from '../demo/source.ts'
import type { Session } from '../session.ts'
import { formatBytes } from '../units.ts'

export interface DemoOptions {
  readonly s3?: boolean
  readonly scale?: number
  readonly keep?: boolean
}

const restored = `${demoDatabase}_restored`

export async function demoCommand(session: Session, options: DemoOptions): Promise<void> {
  const { context } = session
  const startedAt = context.now().getTime()
  const folder = await mkdtemp(join(tmpdir(), 'coffre-demo-'))
  await using cleanUp = new AsyncDisposableStack()
  cleanUp.defer(() => rm(folder, { recursive: true, force: true }))
  cleanUp.defer(async () => session.say('\nRemoving everything the demo made.'))
  const step = numberedSteps(session, 7)

  step('A throw-away PostgreSQL server, with a database of co-owned buildings')
  const cluster = cleanUp.use(await startCluster(session))
  await loadDatabase(session, cluster, options.scale ?? 1)

  step('Keys: a recipient who may read, a host that may only sign')
  const place = await repositoryPlace(session, folder, options, cleanUp)
  const reader = await readerKey(context.now())
  const store = await session.host.openStore(place, 'writer')
  const trust = await init(context, {
    store,
    recipients: [Buffer.from(reader.publicKey)],
    sources: ['buildings'],
    keep: (keys) => writeKeys(folder, keys, reader),
  })
  await writeConfiguration(folder, cluster, place, trust, reader)
  session.say(
    `   reads the backups: ${reader.fingerprint}  (its secret key never touches the database host; here it is the demo's)`,
  )
  session.say(`   signs them:        ${trust.host.fingerprint}`)
  const repository = await Repository.open(store, trust.root.fingerprint)

  step('The backup, while others keep writing')
  const made = await whileWriting(session, cluster, () =>
    makeBackup(session, cluster, repository, trust, reader),
  )
  sayBackup(session, made)

  step('Verify: every byte against the signed manifest, without any key')
  const verified = await verify(context, {
    repository,
    ids: undefined,
    source: undefined,
    pins: [reader.fingerprint],
  })
  if (!verified.ok) throw new CoffreError('ERR_DIGEST', 'the backup that was just made is not intact')
  session.say(`   ${made.id}: ${made.artifacts.length} artifacts intact, signature good`)

  step('One artifact, opened by stock gpg, without coffre')
  await openWithGpg(session, { folder, repository, made, reader })

  step('Restore into a new database, and compare every row with the snapshot')
  const identity = await readIdentity(Buffer.from(reader.secretKey), undefined)
  const result = await restore(context, {
    repository,
    selector: { id: made.id, source: undefined },
    identity,
    destination: cluster.access(restored),
    jobs: 'auto',
    replace: 'never',
    dryRun: false,
    only: undefined,
  })
  session.say(
    `   ${result.tables} tables, ${result.rows} rows, sequences and large objects: all equal to the snapshot, in ${formatDuration(result.durationSeconds)}`,
  )

  step('Where everything lies')
  sayPlaces(session, folder, cluster, place)
  const seconds = (context.now().getTime() - startedAt) / 1000
  session.say(
    `\nDone in ${formatDuration(seconds)}: ${formatBytes(made.plainBytes)} of rows and definitions, sealed into ${formatBytes(made.sealedBytes)}, and back again.`,
  )
  await waitForFarewell(session, options)
}

async function readerKey(now: Date): Promise<GeneratedKey> {
  const alice = { name: 'Alice', email: 'alice@example.org', kind: 'ed25519', use: 'encrypt' } as const
  return await generateKey({ ...alice, validDays: 396, passphrase: undefined, now })
}

function sayBackup(session: Session, made: BackupResult): void {
  const { id, tables, rows, plainBytes, sealedBytes, ratio, durationSeconds } = made
  const sizes = `${formatBytes(plainBytes)} sealed into ${formatBytes(sealedBytes)} (${ratio.toFixed(1)} to 1)`
  session.say(`   ${id}: ${tables} tables, ${rows} rows, ${sizes} in ${formatDuration(durationSeconds)}`)
}

function numberedSteps(session: Session, total: number): (title: string) => void {
  let number = 0
  return (title) => {
    number += 1
    session.say(`\n${number}/${total}  ${title}`)
  }
}

async function repositoryPlace(
  session: Session,
  folder: string,
  { s3 }: DemoOptions,
  cleanUp: AsyncDisposableStack,
): Promise<RepositoryConfig> {
  if (s3 === true) return cleanUp.use(await startDemoS3(session)).place
  const directory = join(folder, 'repository')
  await mkdir(directory, { mode: 0o700 })
  return { name: 'main', kind: 'directory', retention: undefined, copyTo: [], directory }
}

/** What lets you go on by hand: the keys, and a configuration that names them. */
async function writeKeys(folder: string, { root, host }: InitKeys, reader: GeneratedKey): Promise<void> {
  const secret = { mode: 0o600 }
  await writeFile(join(folder, 'alice-secret.asc'), reader.secretKey, secret)
  await writeFile(join(folder, 'alice.asc'), reader.publicKey)
  await writeFile(join(folder, 'host-secret.asc'), host.secretKey, secret)
  await writeFile(join(folder, 'root.asc'), root.publicKey)
}

async function writeConfiguration(
  folder: string,
  cluster: ScratchCluster,
  place: RepositoryConfig,
  trust: InitResult,
  reader: GeneratedKey,
): Promise<void> {
  if (place.kind === 's3') return
  const config = {
    sources: {
      buildings: { url: `postgres://postgres@/${demoDatabase}?host=${encodeURIComponent(cluster.folder)}` },
    },
    repositories: { main: { directory: place.directory } },
    trust: { root: trust.root.fingerprint },
    recipients: [{ file: 'alice.asc', fingerprint: reader.fingerprint }],
    signing: { key_file: 'host-secret.asc', role: 'host' },
  }
  await writeFile(join(folder, 'coffre.yaml'), stringify(config), { mode: 0o600 })
}

async function makeBackup(
  session: Session,
  cluster: ScratchCluster,
  repository: Repository,
  trust: InitResult,
  reader: GeneratedKey,
): Promise<BackupResult> {
  return await backup(session.context, {
    source: {
      name: 'buildings',
      access: cluster.access(demoDatabase),
      jobs: 'auto',
      globals: 'used',
      maxSnapshotAgeMs: 3_600_000,
    },
    repository,
    signingKey: await readSigningKey(Buffer.from(trust.host.secretKey)),
    pins: [reader.fingerprint],
    onExpired: 'continue',
    compression: resolveLevel('zstd', 'auto'),
  })
}

function sayPlaces(session: Session, folder: string, cluster: ScratchCluster, place: RepositoryConfig): void {
  const where =
    place.kind === 'directory'
      ? place.directory
      : `the bucket ${place.s3.bucket} at ${place.s3.endpoint ?? ''}`
  session.say(`   the server        psql -h ${cluster.folder} -U postgres ${restored}`)
  session.say(`   the backups       ${where}`)
  session.say(`   keys              ${folder}`)
  if (place.kind === 'directory') {
    session.say(`   try it yourself   bin/coffre --config ${folder}/coffre.yaml list`)
    session.say(
      `                     bin/coffre --config ${folder}/coffre.yaml show latest --inventory --identity ${folder}/alice-secret.asc`,
    )
  }
  session.say('   your own          bin/coffre init')
}

async function waitForFarewell(session: Session, { keep }: DemoOptions): Promise<void> {
  const { ask } = session.host.terminal
  const { signal } = session.context
  if (ask === undefined && keep !== true) return
  session.say(
    `\nEverything is still there to look at. ${ask === undefined ? 'Ctrl-C' : 'Enter or Ctrl-C'} removes it.`,
  )
  const interrupted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve())
  })
  await Promise.race(ask === undefined || keep === true ? [interrupted] : [interrupted, ask('')])
}
