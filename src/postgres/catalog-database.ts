/**
 * What belongs to a database as a whole, read from the system catalogs inside the snapshot: its own properties, its
 * extensions, and what in it only a superuser can make again.
 */
import { z } from 'zod'
import type { Inventory, InventoryDatabase, InventoryExtension } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'

const thisDatabase = `d.datname = pg_catalog.current_database()`

/**
 * What `pg_dump` without -C leaves out: owner, locale, tablespace, rights, comment, labels and settings of the database
 * itself. Of tablespaces, also those that something in it lies in.
 */
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
      ${versionNumber >= 160000 ? 'd.daticurules' : 'NULL::text'} AS "icuRules",
      ${versionNumber >= 150000 ? 'd.datcollversion' : 'NULL::text'} AS "collationVersion", own.spcname AS tablespace,
      (SELECT coalesce(pg_catalog.json_agg(DISTINCT s.spcname), '[]') FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
        WHERE c.oid >= 16384 AND s.spcname <> 'pg_global') AS tablespaces,
      d.datconnlimit AS "connectionLimit", pg_catalog.shobj_description(d.oid, 'pg_database') AS comment,
      (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('provider', l.provider, 'label', l.label) ORDER BY l.provider), '[]')
        FROM pg_catalog.pg_shseclabel l WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objoid = d.oid) AS "securityLabels",
      CASE WHEN d.datacl IS NULL THEN NULL ELSE (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END, 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
        FROM pg_catalog.aclexplode(d.datacl) a) END AS grants,
      (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END,
        'name', pg_catalog.split_part(c, '=', 1), 'value', pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1))), '[]')
        FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c WHERE s.setdatabase = d.oid) AS settings
    FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace own ON own.oid = d.dattablespace WHERE ${thisDatabase}`)
  // Checked field by field when the inventory is parsed again; here it only has to be an object.
  return z.custom<InventoryDatabase>((value) => typeof value === 'object' && value !== null).parse(row)
}

const tablespaceRow = z.object({ name: z.string(), owner: z.string(), location: z.string() })
export type Tablespace = z.infer<typeof tablespaceRow>

/** Those somebody made, that the database or something in it lies in. */
export async function readTablespaces(session: PsqlSession): Promise<readonly Tablespace[]> {
  const rows = await session.query(`
    SELECT s.spcname AS name, pg_catalog.pg_get_userbyid(s.spcowner) AS owner, pg_catalog.pg_tablespace_location(s.oid) AS location
    FROM pg_catalog.pg_tablespace s WHERE s.oid >= 16384
      AND s.oid IN (SELECT d.dattablespace FROM pg_catalog.pg_database d WHERE ${thisDatabase} UNION SELECT reltablespace FROM pg_catalog.pg_class)
    ORDER BY 1`)
  return rows.map((row) => tablespaceRow.parse(row))
}

/** Those somebody made: what every database has from the start, plpgsql, is no part of a dump. */
export async function readExtensions(session: PsqlSession): Promise<readonly InventoryExtension[]> {
  const rows = await session.query(
    `SELECT extname AS name, extversion AS version FROM pg_catalog.pg_extension WHERE oid >= 16384 ORDER BY 1`,
  )
  return rows.map((row) => z.object({ name: z.string(), version: z.string() }).parse(row))
}

/** Kinds as PostgreSQL's documentation of each CREATE command says it; members of extensions come with those. */
export async function readSuperuserOnly(session: PsqlSession): Promise<Inventory['superuserOnly']> {
  const isMember = (catalog: string): string =>
    `EXISTS (SELECT FROM pg_catalog.pg_depend m WHERE m.classid = '${catalog}'::pg_catalog.regclass AND m.objid = o.oid AND m.deptype = 'e')`
  const rows = await session.query(`
    SELECT 'event trigger' AS kind, o.evtname AS name FROM pg_catalog.pg_event_trigger o WHERE NOT ${isMember('pg_event_trigger')}
    UNION ALL SELECT 'foreign data wrapper', o.fdwname FROM pg_catalog.pg_foreign_data_wrapper o WHERE NOT ${isMember('pg_foreign_data_wrapper')}
    UNION ALL SELECT 'subscription', o.subname FROM pg_catalog.pg_subscription o JOIN pg_catalog.pg_database d ON d.oid = o.subdbid WHERE ${thisDatabase}
    UNION ALL SELECT 'publication of all tables', o.pubname FROM pg_catalog.pg_publication o WHERE o.puballtables
    UNION ALL SELECT 'function in an untrusted language', o.proname FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_language l ON l.oid = o.prolang
      WHERE NOT l.lanpltrusted AND o.oid >= 16384 AND NOT ${isMember('pg_proc')}
    ORDER BY 1, 2`)
  return rows.map((row) => z.object({ kind: z.string(), name: z.string() }).parse(row))
}
