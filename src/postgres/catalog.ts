/**
 * What is in a database, read from the system catalogs inside the snapshot: which tables' rows pg_dump would have
 * dumped and by which columns, sequences, large objects, the database's own properties and the roles it refers to.
 * (Rules as in pg_dump's getTables and selectDumpableTable: user schemas, extension members only when registered
 * with pg_extension_config_dump, foreign tables and views without rows, temporary tables never.)
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import type { InventoryDatabase, InventoryRole, InventorySequence } from '../model/inventory.ts'
import { serverVersionPattern } from '../model/manifest.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteQualified } from './quoting.ts'

const tableRow = z.object({
  oid: z.string(),
  schema: z.string(),
  name: z.string(),
  /** r: has rows of its own. p: a partitioned parent, locked but without rows. */
  kind: z.enum(['r', 'p']),
  columns: z.array(z.string()),
  /** Plain heap storage, the only one that ctid ranges cut (PostgreSQL documentation, 5.5 System Columns). */
  heap: z.boolean(),
  heapPages: z.number(),
  sizeBytes: z.number(),
  extension: z.string().nullable(),
  condition: z.string().nullable(),
})
export type CatalogTable = z.infer<typeof tableRow>

export const members = (catalog: string): string =>
  `EXISTS (SELECT FROM pg_catalog.pg_depend m WHERE m.classid = '${catalog}'::pg_catalog.regclass AND m.objid = c.oid
     AND m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND m.deptype = 'e')`

export const extensionOf = `LEFT JOIN LATERAL (
    SELECT e.extname, e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)] AS condition
    FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)) x ON true`

export const userSchema = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`

/** The size of a table that was dropped meanwhile is NULL. */
const tablesQuery = `
  SELECT c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
    coalesce((SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '[]') AS columns,
    coalesce(am.amname = 'heap', false) AS heap,
    CASE WHEN c.relkind = 'r' THEN coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::int8 ELSE 0 END AS "heapPages",
    CASE WHEN c.relkind = 'r' THEN coalesce(pg_catalog.pg_table_size(c.oid), 0) ELSE 0 END AS "sizeBytes",
    x.extname AS extension, x.condition AS condition
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam ${extensionOf}
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${userSchema}
    AND (x.extname IS NOT NULL OR NOT ${members('pg_catalog.pg_class')})
  ORDER BY n.nspname, c.relname`

/** Tables and partitioned parents, in name order. Throws ERR_SOURCE for what this version cannot carry safely. */
export async function readTables(session: PsqlSession): Promise<readonly CatalogTable[]> {
  const tables = (await session.query(tablesQuery)).map((row) => tableRow.parse(row))
  for (const { extension, condition, name } of tables) {
    // An extension's condition is SQL text from the server that goes to psql unquoted: a backslash would be a psql command.
    if (condition !== null && /[\\;]/.test(condition)) {
      throw new CoffreError(
        'ERR_SOURCE',
        `the extension ${extension ?? ''} selects rows of ${JSON.stringify(name)} by a condition with a backslash or semicolon`,
      )
    }
  }
  return tables
}

/** Sequences with their values. Not MVCC: read after the snapshot was taken, they are never behind its rows. */
export async function readSequences(session: PsqlSession): Promise<readonly InventorySequence[]> {
  const nameRow = z.object({ schema: z.string(), name: z.string() })
  const names = (
    await session.query(`
      SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ${extensionOf}
      WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND ${userSchema}
        AND (x.extname IS NOT NULL OR NOT ${members('pg_catalog.pg_class')})
      ORDER BY n.nspname, c.relname`)
  ).map((row) => nameRow.parse(row))
  const valueRow = z.object({ at: z.number(), lastValue: z.string(), isCalled: z.boolean() })
  const values: InventorySequence[] = []
  for (let start = 0; start < names.length; start += 200) {
    const selects = names
      .slice(start, start + 200)
      .map(
        ({ schema, name }, i) =>
          `SELECT ${start + i} AS at, last_value::pg_catalog.text AS "lastValue", is_called AS "isCalled" FROM ${quoteQualified(schema, name)}`,
      )
    for (const row of await session.query(`${selects.join(' UNION ALL ')} ORDER BY 1`)) {
      const { at, lastValue, isCalled } = valueRow.parse(row)
      const named = names[at]
      if (named !== undefined) values.push({ ...named, lastValue, isCalled })
    }
  }
  return values
}

export async function countLargeObjects(session: PsqlSession): Promise<number> {
  const [row] = await session.query(`SELECT count(*) AS count FROM pg_catalog.pg_largeobject_metadata`)
  return z.object({ count: z.number() }).parse(row).count
}

const serverRow = z.object({
  version: z.string().regex(serverVersionPattern),
  versionNumber: z.number(),
  systemIdentifier: z.string(),
  startedAt: z.string(),
  encoding: z.string(),
  superuser: z.boolean(),
  inRecovery: z.boolean(),
  refusesViews: z.boolean(),
})
export type ServerFacts = z.infer<typeof serverRow>

export async function readServer(session: PsqlSession): Promise<ServerFacts> {
  const [row] = await session.query(`
    SELECT pg_catalog.current_setting('server_version') AS version, pg_catalog.current_setting('server_version_num')::int AS "versionNumber",
      (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS "systemIdentifier",
      pg_catalog.pg_postmaster_start_time()::pg_catalog.text AS "startedAt", pg_catalog.current_setting('server_encoding') AS encoding,
      pg_catalog.current_setting('is_superuser')::bool AS superuser, pg_catalog.pg_is_in_recovery() AS "inRecovery",
      EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind') AS "refusesViews"`)
  return serverRow.parse(row)
}

/** What `pg_dump` without -C leaves out: owner, locale, rights, comment and settings of the database itself. */
export async function readDatabase(session: PsqlSession, versionNumber: number): Promise<InventoryDatabase> {
  const locale =
    versionNumber >= 170000 ? 'd.datlocale' : versionNumber >= 150000 ? 'd.daticulocale' : 'NULL::text'
  const provider =
    versionNumber >= 150000
      ? `CASE d.datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END`
      : `'libc'`
  const [row] = await session.query(`
    SELECT d.datname AS name, pg_catalog.pg_get_userbyid(d.datdba) AS owner, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding,
      ${provider} AS "localeProvider", d.datcollate AS collate, d.datctype AS "characterType", ${locale} AS locale,
      ${versionNumber >= 160000 ? 'd.daticurules' : 'NULL::text'} AS "icuRules", d.datconnlimit AS "connectionLimit",
      pg_catalog.shobj_description(d.oid, 'pg_database') AS comment,
      CASE WHEN d.datacl IS NULL THEN NULL ELSE (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
        FROM pg_catalog.aclexplode(d.datacl) a) END AS grants,
      (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END,
        'name', pg_catalog.split_part(c, '=', 1), 'value', pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1))), '[]')
        FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c WHERE s.setdatabase = d.oid) AS settings
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`)
  // Checked field by field when the inventory is parsed again; here it only has to be an object.
  return z.custom<InventoryDatabase>((value) => typeof value === 'object' && value !== null).parse(row)
}

/** The roles this database refers to (owners, grantees, settings) and the roles those are members of. */
export async function readRoles(session: PsqlSession): Promise<readonly InventoryRole[]> {
  const [access] = await session.query(
    `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS verifiers`,
  )
  const readable = z.object({ verifiers: z.boolean() }).parse(access).verifiers
  const rows = await session.query(`
    WITH RECURSIVE used(oid) AS (
      SELECT s.refobjid FROM pg_catalog.pg_shdepend s, pg_catalog.pg_database d
        WHERE d.datname = pg_catalog.current_database() AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
          AND (s.dbid = d.oid OR (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid))
      UNION SELECT datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
      UNION SELECT relowner FROM pg_catalog.pg_class UNION SELECT nspowner FROM pg_catalog.pg_namespace
      UNION SELECT s.setrole FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
        WHERE d.datname = pg_catalog.current_database() AND s.setrole <> 0
      UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN used ON used.oid = m.member)
    SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolinherit AS inherit, r.rolcreaterole AS "createRole",
      r.rolcreatedb AS "createDatabase", r.rolcanlogin AS login, r.rolreplication AS replication, r.rolbypassrls AS "bypassRowSecurity",
      r.rolconnlimit AS "connectionLimit", r.rolvaliduntil::pg_catalog.text AS "validUntil",
      ${readable ? 'r.rolpassword' : 'NULL::text'} AS "passwordVerifier",
      (SELECT coalesce(pg_catalog.json_agg(pg_catalog.pg_get_userbyid(m.roleid) ORDER BY 1), '[]') FROM pg_catalog.pg_auth_members m
        WHERE m.member = r.oid) AS "memberOf"
    FROM ${readable ? 'pg_catalog.pg_authid' : 'pg_catalog.pg_roles'} r WHERE r.oid IN (SELECT oid FROM used) AND r.rolname !~ '^pg_' ORDER BY 1`)
  return rows.map((row) =>
    z.custom<InventoryRole>((value) => typeof value === 'object' && value !== null).parse(row),
  )
}

/**
 * Subscriptions and the options of user mappings are dumped for superusers only (PostgreSQL documentation: pg_dump, Notes).
 * Rows of a table partitioned by the hash of an enum belong to other partitions after a restore, as enums hash by OID.
 */
export async function readDoubts(session: PsqlSession, server: ServerFacts): Promise<readonly string[]> {
  const [row] = await session.query(`
    SELECT (SELECT count(*) FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
        WHERE d.datname = pg_catalog.current_database()) AS subscriptions,
      (SELECT count(*) FROM pg_catalog.pg_user_mappings) AS mappings,
      (SELECT count(*) FROM pg_catalog.pg_partitioned_table p WHERE p.partstrat = 'h' AND EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs::int2[]) AND t.typtype = 'e')) AS "enumHashes"`)
  const counts = z
    .object({ subscriptions: z.number(), mappings: z.number(), enumHashes: z.number() })
    .parse(row)
  const { subscriptions, mappings, enumHashes } = counts
  return [
    ...(subscriptions > 0 && !server.superuser
      ? [`${subscriptions} subscriptions are left out (not a superuser)`]
      : []),
    ...(mappings > 0 && !server.superuser
      ? [`${mappings} user mappings may lack their options (not a superuser)`]
      : []),
    ...(enumHashes > 0
      ? [
          `${enumHashes} tables partitioned by the hash of an enum cannot be restored by this version of coffre`,
        ]
      : []),
  ]
}
