/**
 * What would make a backup fail or be incomplete, as facts: rights, row security, limits, what a standby cannot read. Read
 * from the system catalogs before anything is locked or written; what follows from them is judged in preflight.ts.
 */
import { z } from 'zod'
import { extensionOf, members, userSchema } from './catalog.ts'
import type { PsqlSession } from './psql-session.ts'

const names = z.array(z.string())

const factsRow = z.object({
  role: z.string(),
  superuser: z.boolean(),
  standby: z.boolean(),
  /** Whether pg_authid, where the password verifiers are, can be read. */
  readsVerifiers: z.boolean(),
  /** Without USAGE or SELECT; qualified and quoted as SQL writes them. */
  unusableSchemas: names,
  unreadableTables: names,
  unreadableSequences: names,
  unreadableLargeObjects: names,
  /** Whose row security binds this role. */
  securedTables: names,
  unlogged: names,
  /** What pg_dump and the snapshot's session lock. */
  relations: z.number(),
  /** Entries the server's lock table has room for, and is asked for by others now. */
  lockRoom: z.number(),
  lockSlots: z.number(),
  locksHeld: z.number(),
  maxLocksPerTransaction: z.number(),
  /** Connections that this role, this database and the server still allow; null: any number. */
  freeForRole: z.number().nullable(),
  freeForDatabase: z.number().nullable(),
  freeOnServer: z.number(),
  /** Minutes after which the server forgets what an old snapshot sees; null: never. Up to PostgreSQL 16. */
  snapshotMinutes: z.number().nullable(),
})
export type PreflightFacts = z.infer<typeof factsRow>

const list = (select: string): string =>
  `(SELECT coalesce(pg_catalog.json_agg(q.name ORDER BY q.name), '[]') FROM (${select}) q(name))`

const setting = (name: string): string => `coalesce(pg_catalog.current_setting('${name}', true), '0')::int`

/** As the catalog's own lists of what is dumped. */
const dumped = (
  kinds: string,
): string => `FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ${extensionOf}
  WHERE c.relkind IN (${kinds}) AND c.relpersistence <> 't' AND ${userSchema} AND (x.extname IS NOT NULL OR NOT ${members('pg_catalog.pg_class')})`

const read = `(c.relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery())`
const tableName = `pg_catalog.format('%I.%I', n.nspname, c.relname)`

const rights = `
  ${list(`SELECT DISTINCT pg_catalog.quote_ident(n.nspname) ${dumped("'r', 'p', 'S'")} AND ${read}
    AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')`)} AS "unusableSchemas",
  ${list(`SELECT ${tableName} ${dumped("'r', 'p'")} AND ${read} AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')`)} AS "unreadableTables",
  ${list(`SELECT ${tableName} ${dumped("'S'")} AND ${read} AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')`)} AS "unreadableSequences",
  ${list(`SELECT ${tableName} ${dumped("'r', 'p'")} AND pg_catalog.row_security_active(c.oid)`)} AS "securedTables",
  ${list(`SELECT ${tableName} ${dumped("'r', 'S'")} AND c.relpersistence = 'u'`)} AS unlogged,
  ${list(`SELECT l.oid::pg_catalog.text FROM pg_catalog.pg_largeobject_metadata l
    WHERE NOT pg_catalog.pg_has_role(l.lomowner, 'USAGE') AND NOT pg_catalog.current_setting('lo_compat_privileges')::bool
      AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(l.lomacl) g WHERE g.privilege_type = 'SELECT'
        AND (g.grantee = 0 OR pg_catalog.pg_has_role(g.grantee, 'USAGE')))`)} AS "unreadableLargeObjects"`

/**
 * The lock table's size as the server computes it (NLOCKENTS and InitializeMaxBackends in its source): more than the
 * documentation's max_connections + max_prepared_transactions, since the server's own processes have their share.
 */
const slots = `(${['max_connections', 'max_prepared_transactions', 'max_worker_processes', 'max_wal_senders'].map(setting).join(' + ')}
  + coalesce(pg_catalog.current_setting('autovacuum_worker_slots', true), pg_catalog.current_setting('autovacuum_max_workers'))::int + 1)`

/** Everybody sees how many there are, and a role its own names; this run's own (by its name) are left out of the count. */
const connections = `
  CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit - u.role END AS "freeForRole",
  CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit - u.database END AS "freeForDatabase",
  ${setting('max_connections')} - u.server
    - CASE WHEN r.rolsuper THEN 0 ELSE ${setting('superuser_reserved_connections')} + ${setting('reserved_connections')} END AS "freeOnServer"`

const used = `SELECT count(*) FILTER (WHERE a.usesysid = r.oid) AS role, count(*) FILTER (WHERE a.datid = d.oid) AS database, count(*) AS server
  FROM pg_catalog.pg_stat_activity a WHERE a.datid IS NOT NULL AND a.usesysid IS NOT NULL
    AND NOT (a.usesysid = r.oid AND a.application_name = pg_catalog.current_setting('application_name'))`

/** Of a session that has its settings. */
export async function readPreflightFacts(session: PsqlSession): Promise<PreflightFacts> {
  const [row] = await session.query(`
    SELECT r.rolname AS role, r.rolsuper AS superuser, pg_catalog.pg_is_in_recovery() AS standby,
      pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS "readsVerifiers",
      (SELECT count(*) ${dumped("'r', 'p', 'v', 'm', 'S', 'f'")}) AS relations, ${rights},
      ${slots} AS "lockSlots", ${slots} * ${setting('max_locks_per_transaction')} AS "lockRoom",
      ${setting('max_locks_per_transaction')} AS "maxLocksPerTransaction", (SELECT count(*) FROM pg_catalog.pg_locks) AS "locksHeld",
      ${connections},
      (SELECT s.setting::int FROM pg_catalog.pg_settings s WHERE s.name = 'old_snapshot_threshold' AND s.setting <> '-1') AS "snapshotMinutes"
    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d, LATERAL (${used}) u WHERE r.rolname = CURRENT_USER AND d.datname = pg_catalog.current_database()`)
  return factsRow.parse(row)
}
