/**
 * Where a session that psql opened came out. libpq decides that by many rules (URL, environment, service and password files,
 * several hosts); coffre's own connection follows where it went, and does not have them a second time.
 */
import { z } from 'zod'
import type { ClientEnvironment } from '../client-tools.ts'
import type { ServerAccess } from '../conninfo.ts'
import type { PsqlSession } from '../psql-session.ts'

export interface WireAddress {
  /** A name, an address, or the folder of a socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
}

const row = z.object({
  host: z.string().min(1),
  port: z.string().regex(/^\d{1,5}$/),
  user: z.string().min(1),
  database: z.string().min(1),
  plain: z.boolean(),
})

/** What does not change how a plain connection is made. Anything else is libpq's. */
const known: ReadonlySet<string> = new Set([
  'host',
  'port',
  'user',
  'dbname',
  'options',
  'application_name',
  'connect_timeout',
  'sslmode',
  'gssencmode',
])
/** Demands on the server, or ways to it, that only libpq knows. */
const demands = ['PGREQUIREAUTH', 'PGREQUIREPEER', 'PGCHANNELBINDING', 'PGHOSTADDR', 'PGSERVICE']

/**
 * Undefined where coffre's own connection could be less than psql's: behind a prefix, where it is encrypted, where more is asked
 * for than it knows.
 */
export async function wireAddress(
  session: PsqlSession,
  access: ServerAccess,
  environment: ClientEnvironment,
): Promise<WireAddress | undefined> {
  if (access.prefix.length > 0) return undefined
  if (Object.keys(access.parameters).some((keyword) => !known.has(keyword))) return undefined
  if (demands.some((name) => environment[name] !== undefined)) return undefined
  const [found] =
    await session.query(`SELECT :'HOST' AS host, :'PORT' AS port, :'USER' AS user, :'DBNAME' AS database,
    NOT EXISTS (SELECT FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid() AND ssl)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_catalog.pg_backend_pid() AND encrypted) AS plain`)
  const { plain, port, ...where } = row.parse(found)
  return plain && !where.host.startsWith('@') ? { ...where, port: Number(port) } : undefined
}
