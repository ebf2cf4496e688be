/**
 * What is in a database, read from the system catalogs inside the snapshot: which tables' rows pg_dump would have
 * dumped and by which columns, sequences, large objects. The database's own properties are catalog-database.ts, roles
 * catalog-roles.ts.
 * (Rules as in pg_dump's getTables and selectDumpableTable: user schemas, extension members only when registered
 * with pg_extension_config_dump, foreign tables and views without rows, temporary tables never.)
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import type { InventorySequence, InventoryTableName } from '../model/inventory.ts'
import { serverVersionPattern } from '../model/manifest.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteQualified } from './quoting.ts'

const tableRow = z.object({
  oid: z.string(),
  schema: z.string(),
  name: z.string(),
  /** r: has rows of its own. p: locked but without rows: a partitioned parent, or a part of what is read through its root. */
  kind: z.enum(['r', 'p']),
  /** A partitioned table that is read and loaded as a whole, because its rows may belong to other partitions elsewhere. */
  partitioned: z.boolean(),
  columns: z.array(z.string()),
  /** Plain heap storage, the only one that ctid ranges cut (PostgreSQL documentation, 5.5 System Columns). */
  heap: z.boolean(),
  heapPages: z.number(),
  sizeBytes: z.number(),
  extension: z.string().nullable(),
  condition: z.string().nullable(),
  /** OIDs of the tables that rows must be in first: foreign keys of an extension's, which are there before the rows. */
  references: z.array(z.string()),
  /** Functions of the user's check or compute its rows when they come in, and may read other tables. */
  late: z.boolean(),
})
export type CatalogTable = z.infer<typeof tableRow>

export const members = (catalog: string): string =>
  `EXISTS (SELECT FROM pg_catalog.pg_depend m WHERE m.classid = '${catalog}'::pg_catalog.regclass AND m.objid = c.oid
     AND m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND m.deptype = 'e')`

export const extensionOf = `LEFT JOIN LATERAL (
    SELECT e.extname, e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)] AS condition
    FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)) x ON true`

/** A standby has no rows of what is unlogged (PostgreSQL documentation, 27.4.1 Hot Standby, User's Overview). */
const readable = `(c.relpersistence = 'p' OR c.relpersistence = 'u' AND NOT pg_catalog.pg_is_in_recovery())`

export const userSchema = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`

/**
 * Trees of partitions that hash by what another server numbers otherwise: an enum hashes by its label's OID, and so do an
 * array, range or row of one. Their rows go through the root, where the server finds the partition (pg_dump does so for
 * enums, whatever its options). Where a partition is a foreign table they do not: its rows are no part of a backup.
 */
const throughRoot = `SELECT h.root FROM (
    SELECT DISTINCT pg_catalog.pg_partition_root(p.partrelid)::pg_catalog.oid AS root
    FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_opclass o ON o.oid = ANY (p.partclass::pg_catalog.oid[])
    WHERE p.partstrat = 'h' AND o.opcintype = ANY ('{anyenum,anyarray,anyrange,anymultirange,record}'::pg_catalog.regtype[])) h
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(h.root) l JOIN pg_catalog.pg_class f ON f.oid = l.relid WHERE f.relkind = 'f')`

/** CHECK constraints, generated columns and domains that call a function, by itself or as an operator, that somebody made. */
const userFunctions = `EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.objid >= 16384 AND d.refobjid >= 16384
      AND d.refclassid = ANY ('{pg_proc,pg_operator}'::pg_catalog.regclass[])
      AND (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid IN (
          SELECT k.oid FROM pg_catalog.pg_constraint k WHERE k.contype = 'c' AND (k.conrelid = c.oid
            OR k.contypid IN (SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)))
        OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid IN (
          SELECT f.oid FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
          WHERE f.adrelid = c.oid AND a.attgenerated <> '')))`

const sizeOf = (measure: string): string => `CASE
      WHEN c.oid = t.root THEN (SELECT coalesce(pg_catalog.sum(pg_catalog.${measure}(l.relid)), 0) FROM pg_catalog.pg_partition_tree(c.oid) l WHERE l.isleaf)
      WHEN c.relkind = 'r' AND t.root IS NULL THEN coalesce(pg_catalog.${measure}(c.oid), 0) ELSE 0 END`

/** The size of a table that was dropped meanwhile is NULL. */
const tablesQuery = `
  WITH through AS MATERIALIZED (${throughRoot})
  SELECT c.oid::pg_catalog.text AS oid, n.nspname AS schema, c.relname AS name,
    CASE WHEN t.root IS NULL THEN c.relkind WHEN t.root = c.oid THEN 'r' ELSE 'p' END AS kind, coalesce(t.root = c.oid, false) AS partitioned,
    coalesce((SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '[]') AS columns,
    coalesce(am.amname = 'heap', false) AND c.relkind = 'r' AS heap,
    (${sizeOf('pg_relation_size')}) / pg_catalog.current_setting('block_size')::int8 AS "heapPages",
    ${sizeOf('pg_table_size')} AS "sizeBytes",
    x.extname AS extension, x.condition AS condition,
    CASE WHEN x.extname IS NULL THEN '[]' ELSE coalesce((SELECT pg_catalog.json_agg(DISTINCT k.confrelid::pg_catalog.text) FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid AND NOT k.condeferred), '[]') END AS "references",
    ${userFunctions} AS late
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam ${extensionOf}
    LEFT JOIN through t ON t.root = CASE WHEN c.relkind = 'p' OR c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid END
  WHERE c.relkind IN ('r', 'p') AND ${readable} AND ${userSchema}
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

/** What `readTables` leaves out on a standby. */
export async function readTablesWithoutRows(session: PsqlSession): Promise<readonly InventoryTableName[]> {
  const rows = await session.query(`
    SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ${extensionOf}
    WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery() AND ${userSchema}
      AND (x.extname IS NOT NULL OR NOT ${members('pg_catalog.pg_class')})
    ORDER BY n.nspname, c.relname`)
  return rows.map((row) => z.object({ schema: z.string(), name: z.string() }).parse(row))
}

/** Sequences with their values. Not MVCC: read after the snapshot was taken, they are never behind its rows. */
export async function readSequences(session: PsqlSession): Promise<readonly InventorySequence[]> {
  const nameRow = z.object({ schema: z.string(), name: z.string() })
  const names = (
    await session.query(`
      SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ${extensionOf}
      WHERE c.relkind = 'S' AND ${readable} AND ${userSchema}
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
  /** Whether pg_authid can be read, where password verifiers are: by superusers, and by pg_read_all_data. */
  readsVerifiers: z.boolean(),
  inRecovery: z.boolean(),
  refusesViews: z.boolean(),
})
export type ServerFacts = z.infer<typeof serverRow>

export async function readServer(session: PsqlSession): Promise<ServerFacts> {
  const [row] = await session.query(`
    SELECT pg_catalog.current_setting('server_version') AS version, pg_catalog.current_setting('server_version_num')::int AS "versionNumber",
      (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) AS "systemIdentifier",
      pg_catalog.pg_postmaster_start_time()::pg_catalog.text AS "startedAt", pg_catalog.current_setting('server_encoding') AS encoding,
      pg_catalog.current_setting('is_superuser')::bool AS superuser,
      pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS "readsVerifiers", pg_catalog.pg_is_in_recovery() AS "inRecovery",
      EXISTS (SELECT FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind') AS "refusesViews"`)
  return serverRow.parse(row)
}

/**
 * Subscriptions and the options of user mappings are dumped for superusers only (PostgreSQL documentation: pg_dump, Notes).
 * Tables hashed by an enum with a foreign table among their partitions are read leaf by leaf, and will not load so elsewhere.
 */
export async function readDoubts(session: PsqlSession, server: ServerFacts): Promise<readonly string[]> {
  const [row] = await session.query(`
    SELECT (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(s.subname), ', ' ORDER BY s.subname) FROM pg_catalog.pg_subscription s
        JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = pg_catalog.current_database()) AS subscriptions,
      (SELECT pg_catalog.string_agg(pg_catalog.format('%I for %I', m.srvname, m.usename), ', ' ORDER BY m.srvname, m.usename)
        FROM pg_catalog.pg_user_mappings m WHERE m.umoptions IS NULL) AS mappings,
      (SELECT count(*) FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_opclass o ON o.oid = ANY (p.partclass::pg_catalog.oid[])
        WHERE p.partstrat = 'h' AND o.opcintype = 'anyenum'::pg_catalog.regtype
          AND pg_catalog.pg_partition_root(p.partrelid)::pg_catalog.oid NOT IN (${throughRoot})) AS "enumHashes"`)
  const counts = z
    .object({ subscriptions: z.string().nullable(), mappings: z.string().nullable(), enumHashes: z.number() })
    .parse(row)
  const { subscriptions, mappings, enumHashes } = counts
  return [
    ...(subscriptions !== null && !server.superuser
      ? [`subscriptions are left out, since only a superuser may read them: ${subscriptions}`]
      : []),
    ...(mappings !== null && !server.superuser
      ? [`user mappings lose the options they may have, which this role may not read: ${mappings}`]
      : []),
    ...(enumHashes > 0
      ? [
          `${enumHashes} tables partitioned by the hash of an enum have a foreign table among their partitions: their rows may not load`,
        ]
      : []),
  ]
}
