/**
 * What of the server a database leans on, as SQL for whoever restores by hand: the roles it refers to, and the tablespaces
 * something of it lies in. Nothing of other databases' roles. CREATE ROLE stands for a role with its password in one
 * statement, so where the role exists it fails, and resets nothing.
 */
import type { InventoryRole } from '../model/inventory.ts'
import type { Tablespace } from './catalog-database.ts'
import { roleSettingStatements, roleStatements } from './destination-roles.ts'
import { quoteIdentifier, quoteLiteral } from './quoting.ts'

export function globalsScript(roles: readonly InventoryRole[], tablespaces: readonly Tablespace[]): string {
  const places = tablespaces.map(
    ({ name, owner, location }) =>
      `CREATE TABLESPACE ${quoteIdentifier(name)} OWNER ${quoteIdentifier(owner)} LOCATION ${quoteLiteral(location)}`,
  )
  const statements = [...roleStatements(roles), ...roleSettingStatements(roles), ...places]
  const preamble = ["SET client_encoding = 'UTF8'", 'SET standard_conforming_strings = on']
  return [...preamble, ...statements].map((statement) => `${statement};\n`).join('')
}
