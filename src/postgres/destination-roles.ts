/**
 * The roles a restored database needs: those that are missing are made, as they were; those that exist stay exactly as they
 * are, passwords and memberships included.
 */
import { z } from 'zod'
import type { InventoryRole } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteIdentifier, quoteLiteral } from './quoting.ts'
import { settingClause } from './setting-clause.ts'

export async function missingRoles(
  maintenance: PsqlSession,
  roles: readonly InventoryRole[],
): Promise<readonly InventoryRole[]> {
  const rows = await maintenance.query('SELECT rolname AS name FROM pg_catalog.pg_roles')
  const existing = new Set(rows.map((row) => z.object({ name: z.string() }).parse(row).name))
  return roles.filter(({ name }) => !existing.has(name))
}

/** All that are missing, or none: in one transaction. Returns those created. Their settings are for later. */
export async function createMissingRoles(
  maintenance: PsqlSession,
  roles: readonly InventoryRole[],
): Promise<readonly InventoryRole[]> {
  const missing = await missingRoles(maintenance, roles)
  const statements = roleStatements(missing)
  if (statements.length > 0) await maintenance.execute(['BEGIN', ...statements, 'COMMIT'].join(';\n'))
  return missing
}

/** Roles with their passwords, then memberships, then comments. */
export function roleStatements(roles: readonly InventoryRole[]): readonly string[] {
  return [
    ...roles.map(createRole),
    ...roles.flatMap((role) => role.memberOf.map((membership) => grantMembership(role, membership))),
    ...roles.flatMap(({ name, comment }) =>
      comment === null ? [] : [`COMMENT ON ROLE ${quoteIdentifier(name)} IS ${quoteLiteral(comment)}`],
    ),
  ]
}

/** What a role's own settings are set by; one that this server refuses is no reason to have no database. */
export function roleSettingStatements(roles: readonly InventoryRole[]): readonly string[] {
  return roles.flatMap(({ name, settings }) =>
    settings.map((setting) => `ALTER ROLE ${quoteIdentifier(name)} ${settingClause(setting)}`),
  )
}

/** A server that tells INHERIT and SET apart is 16 or newer, and nothing is restored to an older one. */
function grantMembership(
  { name }: InventoryRole,
  { role, admin, inherit, set }: InventoryRole['memberOf'][number],
): string {
  const word = (on: boolean): string => (on ? 'TRUE' : 'FALSE')
  const options =
    inherit === null || set === null
      ? admin
        ? ' WITH ADMIN OPTION'
        : ''
      : ` WITH ADMIN ${word(admin)}, INHERIT ${word(inherit)}, SET ${word(set)}`
  return `GRANT ${quoteIdentifier(role)} TO ${quoteIdentifier(name)}${options}`
}

function createRole(role: InventoryRole): string {
  const flags = [
    [role.superuser, 'SUPERUSER'],
    [role.inherit, 'INHERIT'],
    [role.createRole, 'CREATEROLE'],
    [role.createDatabase, 'CREATEDB'],
    [role.login, 'LOGIN'],
    [role.replication, 'REPLICATION'],
    [role.bypassRowSecurity, 'BYPASSRLS'],
  ] as const
  return [
    `CREATE ROLE ${quoteIdentifier(role.name)} WITH`,
    // Attributes that are off are the default; naming them would need rights the destination's user may not have.
    ...flags.filter(([on, word]) => on || word === 'INHERIT').map(([on, word]) => (on ? word : `NO${word}`)),
    role.connectionLimit === -1 ? '' : `CONNECTION LIMIT ${role.connectionLimit}`,
    role.validUntil === null ? '' : `VALID UNTIL ${quoteLiteral(role.validUntil)}`,
    role.passwordVerifier === null ? '' : `PASSWORD ${quoteLiteral(role.passwordVerifier)}`,
  ]
    .filter((word) => word !== '')
    .join(' ')
}
