/**
 * npm run bench: coffre beside what people use instead, on the same data, in interleaved rounds. Prints every run and the ratios;
 * a whole run writes docs/performance.md and docs/performance.svg.
 *
 *   npm run bench                         the whole: about forty minutes on two cores
 *   npm run bench -- --sizes 1000,3000    the whole, growing less far (default: 1000,3000,9000 MB)
 *   npm run bench -- --quick --rounds 2   small data, to see that it works; into the folder of the system's temporary files
 *   npm run bench -- --only business      one data set, backups only; writes nothing
 *   npm run bench -- --memory 1000,3000   peak memory and time of a backup and a restore at these sizes (MB), and nothing else
 *   npm run bench -- --widest 50,200      the same where one single value is of these sizes (MB)
 */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { clientEnvironment } from '../src/postgres/client-tools.ts'
import { ScratchCluster } from '../src/postgres/scratch-cluster.ts'
import { startS3 } from '../test/servers/start-s3.ts'
import { home } from '../test/support/coffre.ts'
import { sql } from '../test/support/postgres.ts'
import { chartOf } from './chart.ts'
import { coffre, contestants, installed, reference, type Contestant } from './contestants.ts'
import { DataSetBench, sealedBytes, type BenchServer, type Run } from './data-set-bench.ts'
import { business, manyTables, pgbenchData, wideRows, widestValue, type DataSet } from './data-sets.ts'
import { machineFacts } from './machine.ts'
import { pageOf } from './page.ts'
import { restores, usualDump, usualRestore } from './restores.ts'
import { placingsOf, type Growth, type Results, type Table } from './results.ts'
import type { Round } from './rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    sizes: { type: 'string', default: '1000,3000,9000' },
    quick: { type: 'boolean', default: false },
    memory: { type: 'string' },
    widest: { type: 'string' },
    jobs: { type: 'string' },
    only: { type: 'string' },
  },
})
const jobs = Number(values.jobs ?? availableParallelism())
const rounds = Number(values.rounds)
const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort())

await using cluster = await ScratchCluster.start({
  environment: clientEnvironment(process.env),
  signal: abort.signal,
  settings: {
    fsync: 'on',
    full_page_writes: 'on',
    max_connections: '100',
    shared_buffers: '2GB',
    max_wal_size: '8GB',
    max_locks_per_transaction: '2048',
  },
})
const s3 = startS3()
try {
  process.env['COFFRE_TEST_PG'] = `host=${cluster.folder} user=postgres`
  Object.assign(process.env, s3.environment)
  const postmaster = Number((await sql('postgres', `SELECT pg_read_file('postmaster.pid')`)).split('\n')[0])
  const server = {
    server: process.env['COFFRE_TEST_PG'],
    socketFolder: cluster.folder,
    dataFolder: join(cluster.folder, 'data'),
    postmaster,
  }
  const sizes = [...listed(values.memory).map(business), ...listed(values.widest).map(widestValue)]
  if (sizes.length > 0) await measureGrowth(server, sizes)
  else if (values.only === undefined) await measureAll(server)
  else for (const dataSet of dataSets(values.only)) await measureBackups(server, dataSet)
} finally {
  s3.stop()
}

function dataSets(only = ''): readonly DataSet[] {
  const all = values.quick
    ? [business(60), pgbenchData(3), manyTables(300), wideRows(40)]
    : [business(1000), pgbenchData(50), manyTables(10_000), wideRows(500)]
  return all.filter(({ name }) => name.startsWith(only))
}

async function measureAll(server: BenchServer): Promise<void> {
  const backups: Table[] = []
  for (const dataSet of dataSets()) backups.push(await measureBackups(server, dataSet))
  const results: Results = {
    machine: machineFacts(`Ceph RADOS gateway ${s3.environment['COFFRE_TEST_S3_RELEASE'] ?? ''}`),
    jobs,
    backups,
    restores: await measureRestores(server, business(values.quick ? 60 : 1000)),
    growth: await measureGrowth(server, listed(values.quick ? '30,90' : values.sizes).map(business)),
  }
  const folder = values.quick ? await mkdtemp(join(tmpdir(), 'coffre-bench-page-')) : join(home, 'docs')
  await writeFile(join(folder, 'performance.md'), pageOf(results))
  const [first] = backups
  if (first !== undefined) await writeFile(join(folder, 'performance.svg'), chartOf(first))
  console.log(`\nwritten: ${folder}/performance.md and performance.svg`)
}

async function measureBackups(server: BenchServer, dataSet: DataSet): Promise<Table> {
  console.log(`\n${dataSet.what}`)
  await using bench = await DataSetBench.make(dataSet, server, jobs)
  const { here, missing } = installed(contestants(jobs))
  // Once without being counted: caches are warm for all, not for those who come later.
  await bench.run('warm-up', 'pg_dump > /dev/null')
  const { placings, runs } = await compete(bench, here, reference, false)
  const plainBytes = runs
    .map(({ stdout }) => sealedBytes(stdout)?.plainBytes)
    .find((bytes) => bytes !== undefined)
  return tell({ title: dataSet.what, yardstick: reference, rounds, placings, missing, plainBytes })
}

async function measureRestores(server: BenchServer, dataSet: DataSet): Promise<Table> {
  console.log(`\nrestores of ${dataSet.what}`)
  await using bench = await DataSetBench.make(dataSet, server, jobs)
  await bench.prepareRestores(usualDump)
  const all = restores(jobs, 'public.buildings')
  const { placings } = await compete(bench, all, usualRestore, true)
  return tell({
    title: dataSet.what,
    yardstick: usualRestore,
    rounds,
    placings,
    missing: [],
    plainBytes: undefined,
  })
}

async function compete(
  bench: DataSetBench,
  all: readonly Contestant[],
  yardstick: string,
  keep: boolean,
): Promise<{ readonly placings: Table['placings']; readonly runs: readonly Run[] }> {
  const done: Round[] = []
  const runs: Run[] = []
  for (let round = 0; round < rounds; round += 1) {
    const wallSeconds = new Map<string, number>()
    const told = (run: Run): void => {
      abort.signal.throwIfAborted()
      wallSeconds.set(run.name, run.wallSeconds)
      runs.push(run)
      console.log(`  ${formatRun(run)}`)
    }
    const taking = all.filter(({ once }) => once !== true || round === 0)
    await bench.round(taking, round, told, keep)
    done.push({ wallSeconds })
  }
  return { placings: placingsOf(runs, done, all, yardstick), runs }
}

function tell(table: Table): Table {
  console.log(
    `\n  wall time in relation to ${table.yardstick}, median (lowest to highest) of ${table.rounds} rounds`,
  )
  for (const { name, ratio } of table.placings) {
    const spread = `${ratio.lowest.toFixed(2)} to ${ratio.highest.toFixed(2)}`
    console.log(`  ${name.padEnd(34)} ${ratio.median.toFixed(2)} (${spread})`)
  }
  if (table.missing.length > 0) console.log(`  not installed here: ${table.missing.join('; ')}`)
  return table
}

async function measureGrowth(server: BenchServer, all: readonly DataSet[]): Promise<readonly Growth[]> {
  console.log(`\nas it grows, ${jobs} lanes`)
  const growth: Growth[] = []
  for (const dataSet of all) {
    abort.signal.throwIfAborted()
    console.log(dataSet.what)
    await using bench = await DataSetBench.make(dataSet, server, jobs)
    await bench.run('warm-up', 'pg_dump > /dev/null')
    const toS3 = await bench.run('backup to S3', `'${coffre}' --config "$CONFIG_S3" backup --json s3`)
    const backup = await bench.run('backup', `'${coffre}' --config "$CONFIG" backup --json directory`, true)
    const [full] = restores(jobs, '').filter(({ name }) => name.startsWith('coffre'))
    const restore = await bench.run('restore', full?.script ?? '')
    for (const run of [backup, toS3, restore]) console.log(`  ${formatRun(run)}`)
    const plainBytes = sealedBytes(backup.stdout)?.plainBytes ?? Number.NaN
    growth.push({ what: dataSet.what, plainBytes, backup, toS3, restore })
  }
  return growth
}

function listed(sizes = ''): readonly number[] {
  return sizes.split(',').filter(Boolean).map(Number)
}

function formatRun(run: Run): string {
  const programs = Object.entries(run.peakByProgram)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 4)
    .map(([name, bytes]) => `${name} ${megabytes(bytes)}`)
  return `${run.name.padEnd(34)} ${run.wallSeconds.toFixed(2)} s, processor ${run.cpuSeconds.toFixed(2)} + ${run.serverCpuSeconds.toFixed(2)} s, peak ${megabytes(run.peakBytes)} (${programs.join(', ')}), kept ${megabytes(run.storedBytes)}`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
