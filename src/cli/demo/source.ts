/** The demo's source: a throw-away server, a database of co-owned buildings in it, and people who keep writing to it. */
import { join } from 'node:path'
import { z } from 'zod'
import { asCoffreError, CoffreError } from '../../errors.ts'
import { formatDuration } from '../../model/duration.ts'
import { startClient } from '../../postgres/client-tools.ts'
import { formatConninfo } from '../../postgres/conninfo.ts'
import { PsqlSession } from '../../postgres/psql-session.ts'
import { ScratchCluster } from '../../postgres/scratch-cluster.ts'
import type { Session } from '../session.ts'
import { formatBytes } from '../units.ts'

export const demoDatabase = 'building_management'

export async function startCluster(session: Session): Promise<ScratchCluster> {
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

/** `scale` 1 is some hundred megabytes. */
export async function loadDatabase(session: Session, cluster: ScratchCluster, scale: number): Promise<void> {
  const { context, host } = session
  const startedAt = context.now().getTime()
  await inDemo(session, cluster, 'postgres', (psql) => psql.execute(`CREATE DATABASE ${demoDatabase}`))
  const access = cluster.access(demoDatabase)
  const file = join(host.home, 'src/operations/demo/building-management.sql')
  const settings = ['-v', 'ON_ERROR_STOP=1', '-v', `scale=${scale}`, '-o', '/dev/null']
  const psql = await startClient(
    access,
    'psql',
    ['-X', '-q', ...settings, '-d', formatConninfo(access), '-f', file],
    context,
  )
  psql.stdin.end()
  psql.stdout.resume()
  await psql.done
  const { size, tables } = await inDemo(session, cluster, demoDatabase, readSize)
  const took = formatDuration((context.now().getTime() - startedAt) / 1000)
  session.say(`   ${tables} tables, ${formatBytes(size)} on disk, made in ${took}`)
}

async function readSize(psql: PsqlSession): Promise<{ size: number; tables: number }> {
  const [row] = await psql.query(`
    SELECT pg_catalog.pg_database_size(pg_catalog.current_database()) AS size,
      (SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname !~ '^(pg_|information_schema)') AS tables`)
  return z.object({ size: z.number(), tables: z.number() }).parse(row)
}

/** Runs `work` while two clients keep writing, and says how much they wrote. Throws when they could not. */
export async function whileWriting<T>(
  session: Session,
  cluster: ScratchCluster,
  work: () => Promise<T>,
): Promise<T> {
  const { context, host } = session
  const access = cluster.access(demoDatabase)
  const script = join(host.home, 'src/operations/demo/writers.sql')
  const before = await inDemo(session, cluster, demoDatabase, writeTransactions)
  const stop = new AbortController()
  const writers = await startClient(
    access,
    'pgbench',
    ['-n', '-c', '2', '-T', '600', '-f', script, formatConninfo(access)],
    {
      environment: context.environment,
      signal: AbortSignal.any([context.signal, stop.signal]),
    },
  )
  writers.stdin.end()
  writers.stdout.resume()
  let result: T
  try {
    result = await work()
  } finally {
    stop.abort()
    await writers.done.catch(assertOurInterruption)
  }
  const after = await inDemo(session, cluster, demoDatabase, writeTransactions)
  session.say(
    `   meanwhile others wrote ${after - before} transactions; the backup holds the one moment it began with`,
  )
  return result
}

/** Our own interruption is how the writers end; anything else means that nobody wrote. */
function assertOurInterruption(error: unknown): void {
  const { code, message } = asCoffreError(error)
  if (code !== 'ERR_INTERRUPTED')
    throw new CoffreError('ERR_INTERNAL', `the demo's writers failed: ${message}`)
}

async function writeTransactions(psql: PsqlSession): Promise<number> {
  const [row] = await psql.query(`SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text::int8 AS id`)
  return z.object({ id: z.number() }).parse(row).id
}

async function inDemo<T>(
  session: Session,
  cluster: ScratchCluster,
  database: string,
  work: (psql: PsqlSession) => Promise<T>,
): Promise<T> {
  const { environment, signal } = session.context
  const options = { environment, signal, applicationName: 'coffre demo' }
  const psql = await PsqlSession.open(cluster.access(database), options)
  try {
    const result = await work(psql)
    await psql.close()
    return result
  } finally {
    psql.kill()
  }
}
