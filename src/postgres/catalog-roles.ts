/**
 * The roles a database refers to, read from the system catalogs: with their attributes, settings, comments and
 * memberships, so that a restore elsewhere can make those that are missing. Roles of other databases of the server stay out.
 */
import { z } from 'zod'
import type { InventoryRole } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'

/**
 * `used`: owners, grantees, and whoever has settings here. `whole`: those, all who are members of one of them (they have
 * its rights), and all groups that any of these is a member of. Nobody is drawn in by being a member of a superuser or of
 * one of PostgreSQL's own roles.
 */
const referredTo = `
  used(oid) AS (
    SELECT s.refobjid FROM pg_catalog.pg_shdepend s, pg_catalog.pg_database d
      WHERE d.datname = pg_catalog.current_database() AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
        AND (s.dbid = d.oid AND s.deptype <> 'o' OR s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND s.objid = d.oid)
    UNION SELECT oid FROM owners UNION SELECT grantee FROM granted
    UNION SELECT s.setrole FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
      WHERE d.datname = pg_catalog.current_database() AND s.setrole <> 0),
  members(oid) AS (
    SELECT oid FROM used
    UNION SELECT m.member FROM pg_catalog.pg_auth_members m JOIN members ON members.oid = m.roleid
      JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE NOT g.rolsuper AND g.rolname !~ '^pg_'),
  whole(oid) AS (
    SELECT oid FROM members
    UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN whole ON whole.oid = m.member)`

const ofUsers = (catalog: string): string =>
  `oid >= 16384 AND ('pg_catalog.${catalog}'::pg_catalog.regclass, oid) NOT IN (SELECT class, id FROM extended)`

/**
 * Owners, but of extensions, which belong to whoever creates them. pg_shdepend does not speak of the bootstrap superuser:
 * what is that one's must be looked for where it is.
 */
const ownersOf = `
  extended(class, id) AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype = 'e'
    UNION ALL SELECT 'pg_catalog.pg_extension'::pg_catalog.regclass, oid FROM pg_catalog.pg_extension),
  owners(oid) AS (
    SELECT s.refobjid FROM pg_catalog.pg_shdepend s, pg_catalog.pg_database d
      WHERE d.datname = pg_catalog.current_database() AND s.dbid = d.oid AND s.deptype = 'o'
        AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND (s.classid, s.objid) NOT IN (SELECT class, id FROM extended)
    UNION SELECT datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    UNION SELECT relowner FROM pg_catalog.pg_class WHERE ${ofUsers('pg_class')} AND relkind NOT IN ('i', 'I', 't', 'c')
    UNION SELECT nspowner FROM pg_catalog.pg_namespace WHERE ${ofUsers('pg_namespace')}
    UNION SELECT proowner FROM pg_catalog.pg_proc WHERE ${ofUsers('pg_proc')}
    UNION SELECT defaclrole FROM pg_catalog.pg_default_acl),
  granted(grantee) AS (
    SELECT x.grantee FROM pg_catalog.pg_class, pg_catalog.aclexplode(relacl) x WHERE oid >= 16384
    UNION SELECT x.grantee FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(nspacl) x WHERE oid >= 16384
    UNION SELECT x.grantee FROM pg_catalog.pg_proc, pg_catalog.aclexplode(proacl) x WHERE oid >= 16384
    UNION SELECT x.grantee FROM pg_catalog.pg_default_acl, pg_catalog.aclexplode(defaclacl) x)`

/** Password verifiers are null where this session's role may not read pg_authid. */
export async function readRoles(
  session: PsqlSession,
  versionNumber: number,
): Promise<readonly InventoryRole[]> {
  const [access] = await session.query(
    `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS verifiers`,
  )
  const readable = z.object({ verifiers: z.boolean() }).parse(access).verifiers
  // One role can be a member by several grants (16 and newer): any of them is enough.
  const option = (column: string): string =>
    versionNumber >= 160000 ? `pg_catalog.bool_or(m.${column})` : 'NULL::pg_catalog.bool'
  const rows = await session.query(`
    WITH RECURSIVE ${ownersOf}, ${referredTo}
    SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolinherit AS inherit, r.rolcreaterole AS "createRole",
      r.rolcreatedb AS "createDatabase", r.rolcanlogin AS login, r.rolreplication AS replication, r.rolbypassrls AS "bypassRowSecurity",
      r.rolconnlimit AS "connectionLimit", r.rolvaliduntil::pg_catalog.text AS "validUntil",
      ${readable ? 'r.rolpassword' : 'NULL::text'} AS "passwordVerifier",
      pg_catalog.shobj_description(r.oid, 'pg_authid') AS comment, r.oid IN (SELECT oid FROM owners) AS owns,
      (SELECT coalesce(pg_catalog.json_agg(g ORDER BY g.role), '[]') FROM (
        SELECT pg_catalog.pg_get_userbyid(m.roleid) AS role, pg_catalog.bool_or(m.admin_option) AS admin,
          ${option('inherit_option')} AS inherit, ${option('set_option')} AS set
        FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid GROUP BY m.roleid) g) AS "memberOf",
      (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', pg_catalog.split_part(c, '=', 1), 'value', pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1))), '[]')
        FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c WHERE s.setrole = r.oid AND s.setdatabase = 0) AS settings
    FROM ${readable ? 'pg_catalog.pg_authid' : 'pg_catalog.pg_roles'} r WHERE r.oid IN (SELECT oid FROM whole) AND r.rolname !~ '^pg_' ORDER BY 1`)
  return rows.map((row) =>
    z.custom<InventoryRole>((value) => typeof value === 'object' && value !== null).parse(row),
  )
}
