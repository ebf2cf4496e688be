/**
 * Extensions whose databases do not come back by definitions and COPY alone: they keep rows elsewhere, or want calls of their
 * own around a restore. A backup that nobody could restore is refused, with the reason.
 */
import { CoffreError } from '../errors.ts'
import type { InventoryExtension } from '../model/inventory.ts'

/** By name; why, in words. */
const reasons: Readonly<Record<string, string>> = {
  // Timescale's documentation, "Logical backup": timescaledb_pre_restore() and timescaledb_post_restore().
  timescaledb: 'its catalogs can only be restored between calls of its own',
  // Citus' documentation, "Backups": the rows of distributed tables are on the workers.
  citus: 'the rows of its distributed tables lie on other servers',
}

/** Throws ERR_SOURCE. */
export function assertSupported(extensions: readonly InventoryExtension[]): void {
  const refused = extensions.filter(({ name }) => Object.hasOwn(reasons, name))
  const [first] = refused
  if (first === undefined) return
  const why = refused.map(({ name }) => `${name}: ${reasons[name]}`).join('; ')
  throw new CoffreError('ERR_SOURCE', `extensions that coffre cannot restore are in this database: ${why}`, {
    hint: `back it up as the documentation of ${first.name} says`,
  })
}
