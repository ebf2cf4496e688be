/**
 * npm run bench: coffre beside what people use instead, on the same data, in interleaved rounds. Prints every run and
 * the ratios to `pg_dump > /dev/null`.
 *
 *   npm run bench                         the whole: about half an hour on two cores
 *   npm run bench -- --rounds 2 --quick   small data, to see that it works
 *   npm run bench -- --memory 1000,3000   peak memory of a backup and a restore at these sizes (MB), and nothing else
 *   npm run bench -- --widest 50,200      the same where one single value is of these sizes (MB)
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { ScratchCluster } from '../src/postgres/scratch-cluster.ts'
import { clientEnvironment } from '../src/postgres/client-tools.ts'
import { startS3 } from '../test/servers/start-s3.ts'
import { sql } from '../test/support/postgres.ts'
import { contestants, installed, reference } from './contestants.ts'
import { DataSetBench, sealedBytes, type BenchServer, type Run } from './data-set-bench.ts'
import { business, manyTables, pgbenchData, wideRows, widestValue, type DataSet } from './data-sets.ts'
import { ratioOf, type Round } from './rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    memory: { type: 'string' },
    widest: { type: 'string' },
    jobs: { type: 'string' },
    only: { type: 'string' },
  },
})
const jobs = Number(values.jobs ?? availableParallelism())
const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort())

await using cluster = await ScratchCluster.start({
  environment: clientEnvironment(process.env),
  signal: abort.signal,
  settings: {
    max_connections: '100',
    shared_buffers: '2GB',
    max_wal_size: '8GB',
    max_locks_per_transaction: '2048',
    wal_level: 'minimal',
    max_wal_senders: '0',
  },
})
const s3 = startS3()
try {
  process.env['COFFRE_TEST_PG'] = `host=${cluster.folder} user=postgres`
  Object.assign(process.env, s3.environment)
  const postmaster = Number((await sql('postgres', `SELECT pg_read_file('postmaster.pid')`)).split('\n')[0])
  const server = { server: process.env['COFFRE_TEST_PG'], socketFolder: cluster.folder, postmaster }
  const measured = [...listed(values.memory).map(business), ...listed(values.widest).map(widestValue)]
  if (measured.length > 0) await measureMemory(server, measured)
  else for (const dataSet of dataSets()) await measureSpeed(server, dataSet)
} finally {
  s3.stop()
}

function dataSets(): readonly DataSet[] {
  const all = values.quick
    ? [business(60), pgbenchData(3), manyTables(300), wideRows(40)]
    : [business(1000), pgbenchData(50), manyTables(10_000), wideRows(500)]
  return all.filter(({ name }) => values.only === undefined || name.startsWith(values.only))
}

async function measureSpeed(server: BenchServer, dataSet: DataSet): Promise<void> {
  console.log(`\n${dataSet.what}`)
  await using bench = await DataSetBench.make(dataSet, server, jobs)
  const { here, missing } = installed(contestants(jobs))
  if (missing.length > 0) console.log(`not installed here: ${missing.join('; ')}`)
  const rounds: Round[] = []
  const runs: Run[] = []
  // Once without being counted: caches are warm for all, not for those who come later.
  await bench.run('warm-up', 'pg_dump > /dev/null')
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const wallSeconds = new Map<string, number>()
    const taking = here.filter(({ once }) => once !== true || round === 0)
    await bench.round(taking, round, (run) => {
      wallSeconds.set(run.name, run.wallSeconds)
      runs.push(run)
      console.log(`  ${formatRun(run)}`)
    })
    rounds.push({ wallSeconds })
  }
  console.log(
    `\n  wall time in relation to ${reference}, median (lowest to highest) of ${rounds.length} rounds`,
  )
  for (const { name } of here) {
    const ratio = ratioOf(rounds, name, reference)
    if (ratio !== undefined)
      console.log(
        `  ${name.padEnd(30)} ${ratio.median.toFixed(2)} (${ratio.lowest.toFixed(2)} to ${ratio.highest.toFixed(2)})`,
      )
  }
  const sealed = runs.find(({ name }) => name.startsWith('coffre'))
  if (sealed !== undefined) {
    const { plainBytes, sealedBytes: bytes } = sealedBytes(sealed)
    console.log(
      `  plain ${megabytes(plainBytes)}, sealed ${megabytes(bytes)}: ${(plainBytes / bytes).toFixed(2)} to 1`,
    )
  }
}

function listed(sizes = ''): readonly number[] {
  return sizes.split(',').filter(Boolean).map(Number)
}

async function measureMemory(server: BenchServer, dataSets: readonly DataSet[]): Promise<void> {
  console.log(`\npeak memory of all processes together, server apart (sum of Pss), ${jobs} lanes`)
  for (const dataSet of dataSets) {
    console.log(dataSet.what)
    await using bench = await DataSetBench.make(dataSet, server, jobs)
    const { folder } = bench.directory
    const config = `--config '${folder}/coffre.yaml'`
    // One run for both, because a run leaves no repository behind.
    const told = await bench.run('backup', `'${process.cwd()}/bin/coffre' ${config} backup --json directory`)
    console.log(`  ${megabytes(sealedBytes(told).plainBytes)}  ${formatRun(told)}`)
    const both = await bench.run(
      'backup and restore',
      `'${process.cwd()}/bin/coffre' ${config} backup --quiet --json directory > /dev/null
       '${process.cwd()}/bin/coffre' ${config} restore latest --to '${bench.database.restored.url}' --identity '${bench.directory.identity()}' --json`,
    )
    console.log(`  ${megabytes(sealedBytes(told).plainBytes)}  ${formatRun(both)}`)
  }
}

function formatRun(run: Run): string {
  const programs = Object.entries(run.peakByProgram)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 4)
    .map(([name, bytes]) => `${name} ${megabytes(bytes)}`)
  return `${run.name.padEnd(30)} ${run.wallSeconds.toFixed(2)} s, processor ${run.cpuSeconds.toFixed(2)} + ${run.serverCpuSeconds.toFixed(2)} s, peak ${megabytes(run.peakBytes)} (${programs.join(', ')})`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
