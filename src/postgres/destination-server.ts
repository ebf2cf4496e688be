/**
 * What a backup needs of the server it is restored to, asked before anything is made: extensions, rights, roles that own
 * something, tablespaces.
 */
import { z } from 'zod'
import type { Inventory, InventoryDatabase } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteLiteral } from './quoting.ts'

const factsRow = z.object({
  me: z.string(),
  superuser: z.boolean(),
  createRole: z.boolean(),
  createDatabase: z.boolean(),
  /** Every role, and whether this one may give things to it. */
  roles: z.array(z.object({ name: z.string(), mine: z.boolean() })),
  /** By name: whether the version that would be installed is for superusers only. */
  extensions: z.array(z.object({ name: z.string(), superuserOnly: z.boolean() })),
  tablespaces: z.array(z.string()),
})
export type DestinationFacts = z.infer<typeof factsRow>

export async function readDestination(
  maintenance: PsqlSession,
  versionNumber: number,
): Promise<DestinationFacts> {
  // What OWNER TO asks for (PostgreSQL documentation, ALTER TABLE: "you must be able to SET ROLE to the new owning role").
  const right = quoteLiteral(versionNumber >= 160000 ? 'SET' : 'MEMBER')
  const [row] = await maintenance.query(`
    SELECT r.rolname AS me, r.rolsuper AS superuser, r.rolcreaterole AS "createRole", r.rolcreatedb AS "createDatabase",
      (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', o.rolname, 'mine', pg_catalog.pg_has_role(r.oid, o.oid, ${right})))
        FROM pg_catalog.pg_roles o) AS roles,
      (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', e.name, 'superuserOnly', v.superuser AND NOT v.trusted)), '[]')
        FROM pg_catalog.pg_available_extensions e JOIN pg_catalog.pg_available_extension_versions v
          ON v.name = e.name AND v.version = e.default_version) AS extensions,
      (SELECT coalesce(pg_catalog.json_agg(s.spcname), '[]') FROM pg_catalog.pg_tablespace s
        WHERE s.spcname <> 'pg_global' AND pg_catalog.has_tablespace_privilege(r.oid, s.oid, 'CREATE')) AS tablespaces
    FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER`)
  return factsRow.parse(row)
}

/** Why the restore would fail half way, in words; empty when nothing of the kind is known. */
export function obstacles(inventory: Inventory, facts: DestinationFacts): readonly string[] {
  const available = new Map(facts.extensions.map((extension) => [extension.name, extension]))
  const absent = inventory.extensions.filter(({ name }) => !available.has(name))
  const extensions = named('this server does not have the extensions', absent)
  return facts.superuser ? extensions : [...extensions, ...lackOfRights(inventory, facts)]
}

function lackOfRights(inventory: Inventory, facts: DestinationFacts): readonly string[] {
  const { me, createRole, createDatabase } = facts
  const roles = new Map(facts.roles.map((role) => [role.name, role]))
  const missing = inventory.roles.filter(({ name }) => !roles.has(name))
  const foreign = inventory.roles.filter(({ name, owns }) => owns && roles.get(name)?.mine !== true)
  const guarded = new Set(
    facts.extensions.filter(({ superuserOnly }) => superuserOnly).map(({ name }) => name),
  )
  const only = inventory.superuserOnly.map(({ kind, name }) => ({ name: `${kind} ${name}` }))
  return [
    ...(createDatabase ? [] : [`${me} may not create databases`]),
    ...named(`${me} is no member of the owners`, foreign),
    ...(createRole ? [] : named(`${me} may not create the missing roles`, missing)),
    ...named(
      `${me} may not create the superusers`,
      createRole ? missing.filter(({ superuser }) => superuser) : [],
    ),
    ...named(
      'only a superuser can create the extensions',
      inventory.extensions.filter(({ name }) => guarded.has(name)),
    ),
    ...named('only a superuser can make', only),
  ]
}

function named(what: string, things: readonly { readonly name: string }[]): readonly string[] {
  if (things.length === 0) return []
  const shown = things.slice(0, 20).map(({ name }) => name)
  return [`${what} ${shown.join(', ')}${things.length > 20 ? `, and ${things.length - 20} more` : ''}`]
}

export interface Placement {
  /** For the database itself; undefined for the server's default. */
  readonly tablespace: string | undefined
  /** Whether every other tablespace that something lies in is here too: else all of it lies where the database does. */
  readonly keepTablespaces: boolean
  /** What lies elsewhere than before, in words. */
  readonly notes: readonly string[]
}

/** A tablespace is a place on the old server's disks: no reason to fail where there is none, or not for this role. */
export function placement(
  { tablespace, tablespaces }: InventoryDatabase,
  facts: DestinationFacts,
): Placement {
  const usable = new Set(facts.tablespaces)
  // Where databases lie unless something else is said: no right is needed for that.
  const isDefault = tablespace === 'pg_default'
  const own = isDefault || usable.has(tablespace)
  const lost = tablespaces.filter((name) => !usable.has(name))
  return {
    tablespace: own && !isDefault ? tablespace : undefined,
    keepTablespaces: lost.length === 0,
    notes: [
      ...(own
        ? []
        : [`the tablespace ${tablespace} cannot be used here: the database lies in the default one`]),
      ...(lost.length === 0
        ? []
        : [
            `tablespaces that cannot be used here: ${lost.join(', ')}; everything lies where the database does`,
          ]),
    ],
  }
}

/** The version of a database's locale as this server's libraries have it; null where it has none. PostgreSQL 15 and newer. */
export async function collationVersion(session: PsqlSession, database: string): Promise<string | null> {
  const [row] = await session.query(`SELECT pg_catalog.pg_database_collation_actual_version(oid) AS version
    FROM pg_catalog.pg_database WHERE datname = ${quoteLiteral(database)}`)
  return z.object({ version: z.string().nullable() }).parse(row).version
}

/** Whether roles in general may create nothing in the schema `public`, the default since PostgreSQL 15 (its release notes). */
export async function publicSchemaIsShut(session: PsqlSession): Promise<boolean> {
  const [row] =
    await session.query(`SELECT count(*) AS found FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'
    AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')`)
  return z.object({ found: z.number() }).parse(row).found > 0
}
