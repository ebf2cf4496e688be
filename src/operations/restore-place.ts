/**
 * The place of a restored database: whether its name is free, or may be made free; what becomes of the database that stood
 * there; and the way back after a failure. Whatever held anything is never dropped unless that was asked for by name.
 */
import { asCoffreError, CoffreError } from '../errors.ts'
import { inDatabase, type ServerAccess } from '../postgres/conninfo.ts'
import { occupancy, type Occupancy } from '../postgres/destination-database.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { quoteIdentifier } from '../postgres/quoting.ts'
import { readReplaceable } from '../postgres/replaced-database.ts'
import {
  abandonedStaging,
  allowConnections,
  dropDatabase,
  dropSubscriptions,
  undoStaging,
  type Staging,
} from '../postgres/staging-database.ts'
import type { Context } from './context.ts'
import { openMaintenance, openSession } from './restore-sessions.ts'

/** What to do with a database of that name that is not empty. */
export type Replace = 'never' | 'keep' | 'drop'

/** Throws ERR_DESTINATION where the name is taken for good. */
export async function checkPlace(
  context: Context,
  { destination, replace }: { readonly destination: ServerAccess; readonly replace: Replace },
  { wanted, applicationName, kept }: Staging,
  maintenance: PsqlSession,
): Promise<Occupancy> {
  const found = await occupancy(maintenance, wanted, () =>
    openSession(context, inDatabase(destination, wanted), applicationName),
  )
  const named = JSON.stringify(wanted)
  if (found === 'occupied' && replace === 'never') {
    throw new CoffreError(
      'ERR_DESTINATION',
      `the database ${named} exists and is not empty: it is left as it is`,
      { hint: 'choose a name that does not exist yet; or add --replace, which moves the old one aside' },
    )
  }
  if (found === 'occupied') {
    const { obstacles, sessions } = await readReplaceable(maintenance, wanted)
    if (obstacles.length > 0) {
      throw new CoffreError(
        'ERR_DESTINATION',
        `the database ${named} cannot be replaced: ${obstacles.join('; ')}`,
        { hint: 'see to that, or restore under another name and rename it yourself' },
      )
    }
    const then = replace === 'drop' ? 'dropped' : `kept as ${JSON.stringify(kept)}`
    const told = `${named} is in use until the new one is equal and takes its place; then its sessions (${sessions} now) are ended, and it is ${then}`
    context.emit({ type: 'note', message: told })
  }
  for (const name of await abandonedStaging(maintenance, wanted)) {
    const left = `the database ${JSON.stringify(name)} was left by a restore that was killed`
    context.emit({ type: 'note', message: `${left}; to remove it: ${dropHint(name)}` })
  }
  return found
}

/**
 * After the new one is in its place, so nothing here can fail the restore: the empty database that stood there goes, unless
 * somebody filled it meanwhile; one that held something goes only where that was asked for. Returns the name of what is kept.
 */
export async function settleReplaced(
  context: Context,
  { destination, replace }: { readonly destination: ServerAccess; readonly replace: Replace },
  { staging, found }: { readonly staging: Staging; readonly found: Occupancy },
  maintenance: PsqlSession,
): Promise<string | null> {
  if (found === 'absent') return null
  const name = found === 'empty' ? staging.replaced : staging.kept
  const inside = (): Promise<PsqlSession> =>
    openSession(context, inDatabase(destination, name), staging.applicationName)
  try {
    await allowConnections(maintenance, name)
    if (found === 'occupied' && replace === 'drop') {
      await dropSubscriptions(maintenance, name, inside)
      await dropDatabase(maintenance, name, { force: true })
      return null
    }
    if (found === 'occupied') {
      const message = `the database that was replaced is kept as ${JSON.stringify(name)}`
      context.emit({ type: 'note', message: `${message}; to remove it: ${dropHint(name)}` })
      return name
    }
    if ((await occupancy(maintenance, name, inside)) === 'empty') {
      await dropDatabase(maintenance, name, { force: false })
      return null
    }
    context.emit({
      type: 'warning',
      message: `somebody wrote to the empty database meanwhile: it is kept as ${JSON.stringify(name)}`,
      hint: 'look at what is in it, then drop it',
    })
  } catch (error) {
    const { code, message } = asCoffreError(error)
    if (code === 'ERR_INTERRUPTED') throw error
    context.emit({
      type: 'warning',
      message: `the database that was replaced could not be seen to, and is kept as ${JSON.stringify(name)}: ${message}`,
      hint: dropHint(name),
    })
  }
  return name
}

const tidyingUp = 'coffre restore, tidying up'

/**
 * After a failure or an interruption, so over a session of its own that the abort does not reach. Returns whether the new
 * database is in its place all the same.
 */
export async function undo(
  context: Context,
  destination: ServerAccess,
  staging: Staging,
  state: { readonly oid: number | undefined; readonly found: Occupancy },
): Promise<boolean> {
  const lasting = { ...context, signal: new AbortController().signal }
  try {
    const session = await openMaintenance(lasting, destination, tidyingUp)
    const inside = (): Promise<PsqlSession> =>
      openSession(lasting, inDatabase(destination, staging.name), tidyingUp)
    const inPlace = await undoStaging(session, staging, { ...state, inside })
    await session.close()
    return inPlace
  } catch {
    const shut = `ALTER DATABASE ${quoteIdentifier(staging.wanted)} ALLOW_CONNECTIONS true;`
    context.emit({
      type: 'warning',
      message: `the staging database ${JSON.stringify(staging.name)} could not be dropped`,
      hint: state.found === 'absent' ? dropHint(staging.name) : `${dropHint(staging.name)} ${shut}`,
    })
    return false
  }
}

function dropHint(name: string): string {
  return `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE);`
}
