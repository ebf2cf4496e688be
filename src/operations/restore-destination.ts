/**
 * What a restore says of the server it goes to: before anything is made, why it cannot work there; and what is different
 * about it, though every row will be equal.
 */
import { CoffreError } from '../errors.ts'
import type { Inventory } from '../model/inventory.ts'
import {
  collationVersion,
  obstacles,
  placement,
  readDestination,
  type Placement,
} from '../postgres/destination-server.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { publicSchemaIsShut } from '../postgres/destination-server.ts'
import { subscriptionsOf } from '../postgres/staging-database.ts'
import type { Context } from './context.ts'

/** Throws ERR_DESTINATION with everything that would make the restore fail, as far as it can be known. */
export async function prepareDestination(
  context: Context,
  maintenance: PsqlSession,
  inventory: Inventory,
  versionNumber: number,
): Promise<Placement> {
  const facts = await readDestination(maintenance, versionNumber)
  const found = obstacles(inventory, facts)
  if (found.length > 0) {
    const hint = facts.superuser
      ? 'install the packages they come with on the server, then run this again'
      : 'restore as a superuser, or see to each of these first: then run this again'
    throw new CoffreError('ERR_DESTINATION', `this cannot be restored there: ${found.join('; ')}`, { hint })
  }
  const place = placement(inventory.database, facts)
  for (const message of place.notes) context.emit({ type: 'note', message })
  return place
}

interface Restored {
  readonly inventory: Inventory
  /** How the new database is called now. */
  readonly name: string
  /** The server's. */
  readonly versionNumber: number
  /** What made the definitions, where it is of a version before 15. */
  readonly pgDump: string | undefined
}

/** In the new database, once it is full. */
export async function tellDifferences(
  context: Context,
  session: PsqlSession,
  { inventory, name, versionNumber, pgDump }: Restored,
): Promise<void> {
  await tellCollation(context, session, {
    recorded: inventory.database.collationVersion,
    name,
    versionNumber,
  })
  if (pgDump !== undefined && versionNumber >= 150000 && (await publicSchemaIsShut(session))) {
    const before = `pg_dump ${pgDump} says nothing of who may create things in the schema public, and since PostgreSQL 15 that is only the database's owner`
    context.emit({
      type: 'note',
      message: `${before}; if everybody could: GRANT CREATE ON SCHEMA public TO PUBLIC`,
    })
  }
  const subscriptions = await subscriptionsOf(session, name)
  if (subscriptions.length === 0) return
  const left = `the subscriptions ${subscriptions.join(', ')} came back disabled, and name the same slots as the source's`
  const how =
    'before you drop one: ALTER SUBSCRIPTION … SET (slot_name = NONE), or the publisher drops the slot'
  context.emit({ type: 'note', message: `${left}; ${how}` })
}

async function tellCollation(
  context: Context,
  session: PsqlSession,
  { recorded, name, versionNumber }: { recorded: string | null; name: string; versionNumber: number },
): Promise<void> {
  if (recorded === null || versionNumber < 150000) return
  const version = await collationVersion(session, name)
  if (version === recorded) return
  context.emit({
    type: 'warning',
    message: `text sorts by version ${version ?? 'unknown'} of the locale here, and by ${recorded} at the source`,
    hint: 'indexes were built anew and are right; look at what leans on the order of text, such as partitions by ranges of it',
  })
}
