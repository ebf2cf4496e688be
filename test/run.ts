/**
 * Runs the tests against real servers: starts a throw-away PostgreSQL and a real S3 server on loopback, tells the tests
 * where they are, runs node's test runner over the files named (default: all but those of test/versions, which has a
 * runner of its own), and ends the servers whatever happens.
 * COFFRE_TEST_S3=newer in the environment takes the newer S3 server (servers/README.md).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { dirname } from 'node:path'
import { clientEnvironment } from '../src/postgres/client-tools.ts'
import { ScratchCluster } from '../src/postgres/scratch-cluster.ts'
import { startKeyService } from './servers/key-service.ts'
import { startS3 } from './servers/start-s3.ts'

const home = dirname(import.meta.dirname)

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort())

const settings = {
  max_connections: '200',
  max_prepared_transactions: '10',
  shared_buffers: '256MB',
  autovacuum: 'off',
  max_wal_size: '4GB',
}
await using postgres = await ScratchCluster.start({
  environment: clientEnvironment(process.env),
  signal: abort.signal,
  settings,
})
await using keys = process.env['COFFRE_TEST_S3'] === 'newer' ? await startKeyService() : undefined
const s3 = startS3(keys?.address)
try {
  const files =
    process.argv.length > 2
      ? process.argv.slice(2)
      : globSync('test/**/*.test.ts', { cwd: home, exclude: ['test/versions/**'] }).toSorted()
  const runner = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--test',
      '--test-concurrency=3',
      '--test-timeout=300000',
      ...files,
    ],
    {
      cwd: home,
      stdio: 'inherit',
      env: { ...process.env, ...s3.environment, COFFRE_TEST_PG: `host=${postgres.folder} user=postgres` },
    },
  )
  abort.signal.addEventListener('abort', () => runner.kill('SIGTERM'))
  const [status] = (await once(runner, 'close')) as [number | null]
  process.exitCode = status ?? 1
} finally {
  s3.stop()
}
