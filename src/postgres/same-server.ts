/**
 * Whether every connection of a backup reaches one and the same server, in sessions that stay their own (hazard 5): asked
 * over two connections at once, before any setting is sent, since behind a pooler it would stay with whoever comes next.
 * A snapshot, its locks and the settings belong to a session; a pool in transaction mode gives each transaction another.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import type { ServerAccess } from './conninfo.ts'
import { PsqlSession, type SessionOptions } from './psql-session.ts'

const seenRow = z.object({
  pid: z.number(),
  startedAt: z.string(),
  systemIdentifier: z.string(),
  /** As psql knows them. */
  host: z.string(),
  port: z.string(),
})
export type SeenServer = z.infer<typeof seenRow>

const identity = `SELECT pg_catalog.pg_backend_pid() AS pid, :'HOST' AS host, :'PORT' AS port,
  pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::pg_catalog.text AS "startedAt",
  (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS "systemIdentifier"`

/** Keeps the transaction; its settings end with it. */
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE \\; SET LOCAL standard_conforming_strings = on \\;
  SET LOCAL statement_timeout = 0 \\; SET LOCAL idle_in_transaction_session_timeout = 0`

/** Nothing where the server ended the session for being idle: then it was this client's own. */
async function glance(session: PsqlSession): Promise<readonly SeenServer[]> {
  try {
    return [seenRow.parse(await session.glance(identity))]
  } catch (error) {
    if (error instanceof CoffreError && error.message.includes('57P05')) return []
    throw error
  }
}

/**
 * What is wrong with what two connections saw; undefined where nothing is. `first`: all that the one saw, one transaction
 * each, the last of them while the other was in a transaction.
 */
export function judgeConnections(first: readonly SeenServer[], second: SeenServer): CoffreError | undefined {
  const all = [...first, second]
  const servers = new Set(all.map(({ startedAt, systemIdentifier }) => `${systemIdentifier} ${startedAt}`))
  if (servers.size > 1) {
    return new CoffreError('ERR_SOURCE', 'connections to the source reach different servers', {
      hint: 'give one host in the URL, not a list or a balanced address',
    })
  }
  const processes = new Set(first.map(({ pid }) => pid))
  if (processes.size <= 1 && !processes.has(second.pid)) return undefined
  return new CoffreError(
    'ERR_SOURCE',
    'the connection goes through a pooler that gives each transaction another session of the server: a snapshot cannot be held there',
    { hint: 'connect to the server itself (port 5432, not 6432), or to a pool with pool_mode = session' },
  )
}

/**
 * How to reach the server from here on: of several hosts, the one that answered now. Throws ERR_SOURCE where connections
 * reach different servers or do not stay with their session, and ERR_CONNECT.
 */
export async function reachOneServer(access: ServerAccess, options: SessionOptions): Promise<ServerAccess> {
  const first = await PsqlSession.connect(access, options)
  try {
    const seen = [...(await glance(first)), ...(await glance(first))]
    const chosen = pinned(access, seen[0])
    const second = await PsqlSession.connect(chosen, options)
    try {
      // It keeps its session until the end: where sessions are shared, that was the first's, or the first gets another one.
      await second.execute(begin)
      const other = seenRow.parse((await second.query(identity))[0])
      const wrong =
        judgeConnections(seen, other) ?? judgeConnections([...seen, ...(await glance(first))], other)
      if (wrong !== undefined) throw wrong
    } finally {
      second.kill()
    }
    return chosen
  } finally {
    first.kill()
  }
}

/** libpq tries the hosts of a list anew for each connection (PostgreSQL documentation, 34.1.1.3 Multiple Hosts). */
function pinned(access: ServerAccess, seen: SeenServer | undefined): ServerAccess {
  const { host = '', hostaddr } = access.parameters
  if (seen === undefined || !host.includes(',') || hostaddr !== undefined) return access
  return { ...access, parameters: { ...access.parameters, host: seen.host, port: seen.port } }
}
