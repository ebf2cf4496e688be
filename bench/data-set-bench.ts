/**
 * One data set on the bench: its database, a keyring for gpg, the statements of the COPY floor, and coffre's two
 * repositories; `round` runs every contestant once, in an order that turns from round to round.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { makeS3TestBucket } from '../test/contract/s3-test-bucket.ts'
import { makeWorkshop, type Workshop } from '../test/support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../test/support/postgres.ts'
import { coffre, type Contestant } from './contestants.ts'
import type { DataSet } from './data-sets.ts'
import { serverCpuSeconds, watchCommand, type Measured } from './watched-command.ts'

export interface Run extends Measured {
  readonly name: string
  readonly serverCpuSeconds: number
  /** What lies in OUT afterwards, or what coffre says that it stored. */
  readonly storedBytes: number
}

export interface BenchServer {
  /** As makeDatabase takes it. */
  readonly server: string
  readonly socketFolder: string
  readonly dataFolder: string
  readonly postmaster: number
}

const sliceBytes = 64 * 1024 * 1024

export class DataSetBench implements AsyncDisposable {
  readonly dataSet: DataSet
  readonly database: TestDatabase
  readonly directory: Workshop
  readonly #server: BenchServer
  readonly #environment: Readonly<Record<string, string>>
  readonly #cleanUp: AsyncDisposableStack

  private constructor(
    parts: Pick<DataSetBench, 'dataSet' | 'database' | 'directory'>,
    server: BenchServer,
    environment: Readonly<Record<string, string>>,
    cleanUp: AsyncDisposableStack,
  ) {
    this.dataSet = parts.dataSet
    this.database = parts.database
    this.directory = parts.directory
    this.#server = server
    this.#environment = environment
    this.#cleanUp = cleanUp
  }

  static async make(dataSet: DataSet, server: BenchServer, jobs: number): Promise<DataSetBench> {
    await using cleanUp = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'coffre-bench-'))
    cleanUp.defer(() => rm(folder, { recursive: true, force: true }))
    const database = cleanUp.use(await makeDatabase('bench', server.server))
    await dataSet.fill(database.name, server.server)
    await sql('postgres', 'CHECKPOINT', [], server.server)
    const source = { url: database.url, jobs }
    const directory = cleanUp.use(await makeWorkshop({ sources: { directory: source } }))
    const s3 = await makeS3Workshop(source, folder, cleanUp)
    await writeCopies(join(folder, 'copies'), database, jobs)
    const one = (await readFile(join(directory.folder, 'coffre.yaml'), 'utf8')).replace(
      /jobs: \d+/,
      'jobs: 1',
    )
    await writeFile(join(directory.folder, 'one.yaml'), one)
    const keyring = join(folder, 'keyring')
    await mkdir(keyring, { mode: 0o700 })
    const gpg = ['--homedir', keyring, '--batch', '--quiet', '--passphrase', '']
    execFileSync('gpg', [...gpg, '--quick-generate-key', 'bench@example.org', 'default', 'default', 'never'])
    cleanUp.defer(() => void execFileSync('gpgconf', ['--homedir', keyring, '--kill', 'all']))
    const environment = {
      PGHOST: server.socketFolder,
      PGUSER: 'postgres',
      PGDATABASE: database.name,
      OUT: join(folder, 'out'),
      COPIES: join(folder, 'copies'),
      KEYRING: keyring,
      CONFIG: join(directory.folder, 'coffre.yaml'),
      CONFIG_ONE: join(directory.folder, 'one.yaml'),
      IDENTITY: directory.identity(),
      DUMP: join(folder, 'dump.sql.gz.gpg'),
      BACK: database.restored.name,
      PGDATA: server.dataFolder,
      CONFIG_S3: join(s3.folder, 'coffre.yaml'),
    }
    return new DataSetBench({ dataSet, database, directory }, server, environment, cleanUp.move())
  }

  /** Runs them one after the other, from the `turn`th on. */
  async round(
    contestants: readonly Contestant[],
    turn: number,
    told: (run: Run) => void,
    keep = false,
  ): Promise<void> {
    const from = turn % contestants.length
    for (const { name, script } of [...contestants.slice(from), ...contestants.slice(0, from)])
      told(await this.run(name, script, keep))
  }

  /** Puts what is to be restored where the restores look for it. */
  async prepareRestores(usualDump: string): Promise<void> {
    await this.run('the dump to restore', usualDump)
    await this.run('the backup to restore', `'${coffre}' --config "$CONFIG" backup --quiet directory`, true)
  }

  /** `keep`: the backup that it made, or that stood there before, is wanted again. */
  async run(name: string, script: string, keep = false): Promise<Run> {
    const out = this.#environment['OUT'] ?? ''
    await mkdir(out)
    try {
      const before = serverCpuSeconds(this.#server.postmaster)
      const measured = await watchCommand(script, { cwd: out, env: this.#environment })
      const ofServer = serverCpuSeconds(this.#server.postmaster) - before
      const storedBytes = sealedBytes(measured.stdout)?.sealedBytes ?? bytesIn(out)
      return { ...measured, name, serverCpuSeconds: ofServer, storedBytes }
    } finally {
      await rm(out, { recursive: true })
      await sql(
        'postgres',
        `DROP DATABASE IF EXISTS ${this.database.restored.name} WITH (FORCE)`,
        [],
        this.#server.server,
      )
      // Every round is a first backup, and the disk does not fill up.
      if (!keep) await rm(join(this.directory.folder, 'repository/backups'), { recursive: true, force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanUp.disposeAsync()
  }
}

async function makeS3Workshop(
  source: unknown,
  folder: string,
  cleanUp: AsyncDisposableStack,
): Promise<Workshop> {
  const bucket = await makeS3TestBucket()
  cleanUp.defer(() => bucket.close())
  const { endpoint = '', credentials } = bucket.settings
  const files = { access_key_file: join(folder, 'access'), secret_key_file: join(folder, 'secret') }
  await writeFile(files.access_key_file, `${credentials?.accessKeyId}\n`, { mode: 0o600 })
  await writeFile(files.secret_key_file, `${credentials?.secretAccessKey}\n`, { mode: 0o600 })
  const s3 = { provider: 'ceph', endpoint, bucket: bucket.name, credentials: { writer: files } }
  const place = ['--s3', bucket.name, '--provider', 'ceph', '--endpoint', endpoint]
  const access = ['--access-key-file', files.access_key_file, '--secret-key-file', files.secret_key_file]
  return cleanUp.use(
    await makeWorkshop({
      sources: { s3: source },
      repositories: { main: { s3 } },
      initRepository: [...place, ...access],
    }),
  )
}

/** One script of COPY statements for each session, large tables in slices, dealt out in turn. */
async function writeCopies(folder: string, database: TestDatabase, jobs: number): Promise<void> {
  await mkdir(folder)
  const statements = (
    await database.sql(`
      SELECT CASE WHEN slices = 1 THEN format('COPY %s TO STDOUT;', name)
          ELSE format('COPY (SELECT * FROM %s WHERE ctid >= ''(%s,0)'' AND ctid < ''(%s,0)'') TO STDOUT;', name, pages * s / slices, pages * (s + 1) / slices) END
      FROM (SELECT format('ONLY %I.%I', n.nspname, c.relname) AS named, format('%I.%I', n.nspname, c.relname) AS name,
          pg_relation_size(c.oid) / 8192 AS pages, pg_table_size(c.oid) AS size, 1 + pg_relation_size(c.oid) / ${sliceBytes} AS slices
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') t, generate_series(0, slices - 1) s
      ORDER BY size / slices DESC, named`)
  ).split('\n')
  for (let job = 0; job < jobs; job += 1) {
    const own = statements.filter((_, index) => index % jobs === job)
    await writeFile(join(folder, `${job}.sql`), `\\set ON_ERROR_STOP on\n${own.join('\n')}\n`)
  }
}

const printed = z.object({ plainBytes: z.number(), sealedBytes: z.number() })

/** The bytes of a backup, where this is what `coffre backup --json` printed. */
export function sealedBytes(stdout: string): z.infer<typeof printed> | undefined {
  return stdout.startsWith('{') ? printed.parse(JSON.parse(stdout)) : undefined
}

function bytesIn(folder: string): number {
  return Number(execFileSync('du', ['-sb', folder], { encoding: 'utf8' }).split('\t')[0]) - emptyFolderBytes
}

const emptyFolderBytes = 4096
