/**
 * coffre demo: the main job before your eyes, on a throw-away server with a database of co-owned buildings that people
 * keep writing to. Everything it makes is in two folders that it names, and is removed at the end.
 */
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { stringify } from 'yaml'
import { z } from 'zod'
import { asCoffreError, CoffreError } from '../../errors.ts'
import { generateKey, readIdentity, readSigningKey, type GeneratedKey } from '../../openpgp/keys.ts'
import { openStockGpg } from '../../openpgp/stock-gpg.ts'
import { backup, type BackupResult } from '../../operations/backup.ts'
import { init, type InitResult } from '../../operations/init.ts'
import { restore } from '../../operations/restore.ts'
import { verify } from '../../operations/verify.ts'
import { decompress, resolveLevel } from '../../pipeline/compression.ts'
import { startClient } from '../../postgres/client-tools.ts'
import { formatConninfo } from '../../postgres/conninfo.ts'
import { PsqlSession } from '../../postgres/psql-session.ts'
import { ScratchCluster } from '../../postgres/scratch-cluster.ts'
import { Repository } from '../../repository/repository.ts'
import type { RepositoryConfig } from '../../config.ts'
import { startDemoS3 } from '../demo-s3.ts'
import type { Session } from '../session.ts'
import { formatBytes, formatDuration } from '../units.ts'

export interface DemoOptions {
  readonly s3?: boolean
  readonly scale?: number
  readonly keep?: boolean
}

const database = 'building_management'
const restored = 'building_management_restored'

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
  const reader = await generateKey({
    name: 'Alice',
    email: 'alice@example.org',
    kind: 'ed25519',
    use: 'encrypt',
    validDays: 396,
    passphrase: undefined,
    now: context.now(),
  })
  const store = await session.host.openStore(place, 'writer')
  const trust = await init(context, {
    store,
    recipients: [Buffer.from(reader.publicKey)],
    sources: ['buildings'],
  })
  await writeFiles(folder, cluster, place, trust, reader)
  session.say(
    `   reads the backups: ${reader.fingerprint}  (its secret key never touches the database host; here it is the demo's)`,
  )
  session.say(`   signs them:        ${trust.host.fingerprint}`)
  const repository = await Repository.open(store, trust.root.fingerprint)

  step('The backup, while others keep writing')
  const made = await backUpWhileWriting(session, cluster, repository, trust, reader)

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

function numberedSteps(session: Session, total: number): (title: string) => void {
  let number = 0
  return (title) => {
    number += 1
    session.say(`\n${number}/${total}  ${title}`)
  }
}

async function startCluster(session: Session): Promise<ScratchCluster> {
  const { environment, signal } = session.context
  const settings = {
    shared_buffers: '512MB',
    max_wal_size: '4GB',
    checkpoint_timeout: '30min',
    autovacuum: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
  }
  return await ScratchCluster.start({ environment, signal, settings })
}

async function loadDatabase(session: Session, cluster: ScratchCluster, scale: number): Promise<void> {
  const { context, host } = session
  await statements(session, cluster, 'postgres', `CREATE DATABASE ${database}`)
  const startedAt = context.now().getTime()
  const file = join(host.home, 'src/operations/demo/building-management.sql')
  const access = cluster.access(database)
  const args = [
    '-X',
    '-q',
    '-v',
    'ON_ERROR_STOP=1',
    '-v',
    `scale=${scale}`,
    '-o',
    '/dev/null',
    '-d',
    formatConninfo(access),
    '-f',
    file,
  ]
  const psql = await startClient(access, 'psql', args, {
    environment: context.environment,
    signal: context.signal,
  })
  psql.stdin.end()
  psql.stdout.resume()
  await psql.done
  const [row] = await statements(
    session,
    cluster,
    database,
    `SELECT pg_catalog.pg_database_size('${database}') AS size, (SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname !~ '^(pg_|information_schema)') AS tables`,
  )
  const { size, tables } = z.object({ size: z.number(), tables: z.number() }).parse(row)
  session.say(
    `   ${tables} tables, ${formatBytes(size)} on disk, made in ${formatDuration((context.now().getTime() - startedAt) / 1000)}`,
  )
}

/** A SELECT gives its rows; anything else gives none. */
async function statements(
  session: Session,
  cluster: ScratchCluster,
  name: string,
  sql: string,
): Promise<readonly unknown[]> {
  const { environment, signal } = session.context
  const psql = await PsqlSession.open(cluster.access(name), {
    environment,
    signal,
    applicationName: 'coffre demo',
  })
  const rows = sql.startsWith('SELECT') ? await psql.query(sql) : (await psql.execute(sql), [])
  await psql.close()
  return rows
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
  return { name: 'main', kind: 'directory', directory }
}

/** The files that let you go on by hand: a configuration, and the keys it names. */
async function writeFiles(
  folder: string,
  cluster: ScratchCluster,
  place: RepositoryConfig,
  trust: InitResult,
  reader: GeneratedKey,
): Promise<void> {
  const secret = { mode: 0o600 }
  await writeFile(join(folder, 'alice-secret.asc'), reader.secretKey, secret)
  await writeFile(join(folder, 'alice.asc'), reader.publicKey)
  await writeFile(join(folder, 'host-secret.asc'), trust.host.secretKey, secret)
  await writeFile(join(folder, 'root.asc'), trust.root.publicKey)
  if (place.kind === 's3') return
  const config = {
    sources: {
      buildings: { url: `postgres://postgres@/${database}?host=${encodeURIComponent(cluster.folder)}` },
    },
    repositories: { main: { directory: place.directory } },
    trust: { root: trust.root.fingerprint },
    recipients: [{ file: 'alice.asc', fingerprint: reader.fingerprint }],
    signing: { key_file: 'host-secret.asc', role: 'host' },
  }
  await writeFile(join(folder, 'coffre.yaml'), stringify(config), secret)
}

async function backUpWhileWriting(
  session: Session,
  cluster: ScratchCluster,
  repository: Repository,
  trust: InitResult,
  reader: GeneratedKey,
): Promise<BackupResult> {
  const { context, host } = session
  const access = cluster.access(database)
  const writing = join(host.home, 'src/operations/demo/writers.sql')
  const stop = new AbortController()
  const writers = await startClient(
    access,
    'pgbench',
    ['-n', '-c', '2', '-T', '600', '-f', writing, formatConninfo(access)],
    {
      environment: context.environment,
      signal: AbortSignal.any([context.signal, stop.signal]),
    },
  )
  writers.stdout.resume()
  try {
    const result = await backup(context, {
      source: { name: 'buildings', access, jobs: 'auto' },
      repository,
      signingKey: await readSigningKey(Buffer.from(trust.host.secretKey)),
      pins: [reader.fingerprint],
      onExpired: 'continue',
      compression: resolveLevel('zstd', 'auto'),
    })
    session.say(
      `   ${result.id}: ${result.tables} tables, ${result.rows} rows, ${formatBytes(result.plainBytes)} sealed into ${formatBytes(result.sealedBytes)} (${result.ratio.toFixed(1)} to 1) in ${formatDuration(result.durationSeconds)}`,
    )
    return result
  } finally {
    stop.abort()
    await writers.done.catch((error: unknown) => {
      // Our own interruption is how the writers end; anything else means that nobody wrote.
      const { code, message } = asCoffreError(error)
      if (code !== 'ERR_INTERRUPTED')
        throw new CoffreError('ERR_INTERNAL', `the demo's writers failed: ${message}`)
    })
  }
}

interface GpgStep {
  readonly folder: string
  readonly repository: Repository
  readonly made: BackupResult
  readonly reader: GeneratedKey
}

async function openWithGpg(session: Session, { folder, repository, made, reader }: GpgStep): Promise<void> {
  const artifact = made.artifacts.find(({ kind }) => kind === 'globals')
  if (artifact === undefined) throw new CoffreError('ERR_INTERNAL', 'the backup has no globals')
  const sealed = join(folder, 'globals.sql.zst.gpg')
  const compressed = join(folder, 'globals.sql.zst')
  await writeFile(
    sealed,
    Readable.from(repository.store.get(`backups/buildings/${made.id}/${artifact.name}`)),
  )
  await using gpg = await openStockGpg(reader.secretKey, session.context.environment)
  await gpg.decrypt(sealed, compressed)
  const parts: Buffer[] = []
  for await (const bytes of decompress(createReadStream(compressed), 'zstd')) parts.push(bytes)
  const lines = Buffer.concat(parts)
    .toString('utf8')
    .split('\n')
    .filter((line) => /^(CREATE|ALTER) ROLE/.test(line))
  session.say(`   ${gpg.version} --decrypt ${artifact.name} | zstd -d, and it reads:`)
  for (const line of lines.slice(0, 4)) session.say(`     ${line.slice(0, 100)}`)
  await Promise.all([rm(sealed), rm(compressed)])
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
