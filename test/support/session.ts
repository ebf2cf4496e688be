/** The front door of src/postgres for tests: the tests' own server as coffre reaches it. */
import { clientEnvironment } from '../../src/postgres/client-tools.ts'
import { inDatabase, type ServerAccess } from '../../src/postgres/conninfo.ts'
import { PsqlSession } from '../../src/postgres/psql-session.ts'
import type { Session } from '../../src/postgres/session.ts'
import { WireSession } from '../../src/postgres/wire/wire-session.ts'
import { socketFolder } from './postgres.ts'

export const environment = clientEnvironment(process.env)

export function testAccess(database: string): ServerAccess {
  const parameters = { host: socketFolder(), user: 'postgres' }
  return inDatabase({ prefix: [], parameters, password: undefined }, database)
}

export function openSession(
  access: ServerAccess = testAccess('postgres'),
  signal?: AbortSignal,
): Promise<PsqlSession> {
  return PsqlSession.open(access, { environment, signal, applicationName: 'coffre test' })
}

/** coffre's own connection to the same place. */
export function openWire(access: ServerAccess, signal?: AbortSignal): Promise<WireSession> {
  const { host = '', port = '5432', user = '', dbname = '' } = access.parameters
  const address = { host, port: Number(port), user, database: dbname }
  return WireSession.open(address, access, { signal, applicationName: 'coffre test' })
}

/** Lends a session of its own, which ends with the work. */
export async function withSession<T>(
  access: ServerAccess,
  work: (session: PsqlSession) => Promise<T>,
): Promise<T> {
  const session = await openSession(access)
  try {
    return await work(session)
  } finally {
    session.kill()
  }
}

/** What one statement of COPY … TO STDOUT sends. */
export async function copied(session: Session, statement: string): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const bytes of session.copyTo(statement)) parts.push(Buffer.from(bytes))
  return Buffer.concat(parts)
}
