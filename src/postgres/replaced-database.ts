/**
 * The database that a restore is to replace: whether it can be moved out of the way, asked before anything is made, because
 * the move itself comes last, after hours of loading.
 */
import { z } from 'zod'
import type { PsqlSession } from './psql-session.ts'
import { quoteLiteral } from './quoting.ts'

const factsRow = z.object({
  owned: z.boolean(),
  template: z.boolean(),
  prepared: z.array(z.string()),
  sessions: z.number(),
  foreign: z.number(),
})

export interface Replaceable {
  /** Why it cannot be renamed, in words. */
  readonly obstacles: readonly string[]
  /** That are in it now, and would be ended. */
  readonly sessions: number
}

/**
 * ALTER DATABASE … RENAME asks for ownership (and CREATEDB, which CREATE DATABASE has asked for already) and for a database
 * that no session and no prepared transaction is in (PostgreSQL documentation, ALTER DATABASE).
 */
export async function readReplaceable(maintenance: PsqlSession, database: string): Promise<Replaceable> {
  const [row] = await maintenance.query(`
    SELECT pg_catalog.pg_has_role(d.datdba, 'USAGE') AS owned, d.datistemplate AS template,
      (SELECT coalesce(pg_catalog.json_agg(p.gid), '[]') FROM pg_catalog.pg_prepared_xacts p WHERE p.database = d.datname) AS prepared,
      count(a.pid) AS sessions,
      count(a.pid) FILTER (WHERE a.usesysid IS NOT NULL AND NOT pg_catalog.pg_has_role('pg_signal_backend', 'MEMBER')
        AND NOT pg_catalog.pg_has_role(a.usesysid, 'USAGE')) AS foreign
    FROM pg_catalog.pg_database d
      LEFT JOIN pg_catalog.pg_stat_activity a ON a.datid = d.oid AND a.backend_type = 'client backend'
    WHERE d.datname = ${quoteLiteral(database)} GROUP BY d.oid, d.datdba, d.datistemplate, d.datname`)
  const { owned, template, prepared, sessions, foreign } = factsRow.parse(row)
  return {
    sessions,
    obstacles: [
      ...(owned ? [] : ['this role does not own it']),
      ...(template ? ['it is a template'] : []),
      ...(prepared.length === 0 ? [] : [`it has prepared transactions: ${prepared.join(', ')}`]),
      ...(foreign === 0 ? [] : [`${foreign} of its sessions may not be ended by this role`]),
    ],
  }
}
