/** The sessions a restore opens on the server it goes to. */
import { CoffreError } from '../errors.ts'
import { inDatabase, type ServerAccess } from '../postgres/conninfo.ts'
import { PsqlSession } from '../postgres/psql-session.ts'
import type { Context } from './context.ts'

export async function openSession(
  context: Context,
  access: ServerAccess,
  applicationName: string,
): Promise<PsqlSession> {
  const { environment, signal } = context
  return await PsqlSession.open(access, { environment, signal, applicationName })
}

/** Any database but the one that is made: `postgres` by custom, `template1` where there is none. */
export async function openMaintenance(
  context: Context,
  destination: ServerAccess,
  applicationName: string,
): Promise<PsqlSession> {
  try {
    // Nobody can rename the database they are connected to.
    const other = destination.parameters['dbname'] === 'postgres' ? 'template1' : 'postgres'
    return await openSession(context, inDatabase(destination, other), applicationName)
  } catch (error) {
    if (!(error instanceof CoffreError) || !/database .* does not exist/.test(error.message)) throw error
    return await openSession(context, inDatabase(destination, 'template1'), applicationName)
  }
}
