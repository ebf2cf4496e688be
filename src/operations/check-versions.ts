/**
 * Asks the client programs and the server for their versions, before anything is written or made. What goes together is
 * decided by `postgres/version-rules.ts`.
 */
import type { Manifest } from '../model/manifest.ts'
import { readServer } from '../postgres/catalog.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import { programVersion } from '../postgres/definitions.ts'
import { PsqlSession } from '../postgres/psql-session.ts'
import { assertCanDump, assertCanRestore, dumpLimit, type DumpVersions } from '../postgres/version-rules.ts'
import type { Context } from './context.ts'

/** Returns what was found. Throws ERR_PROGRAM, ERR_SOURCE, or ERR_CONNECT; warns of what limits the backup. */
export async function checkDumpVersions(
  context: Context,
  access: ServerAccess,
  applicationName: string,
): Promise<DumpVersions> {
  const { environment, signal } = context
  const options = { environment, signal }
  const [pgDump, pgDumpall] = await Promise.all([
    programVersion(access, 'pg_dump', options),
    programVersion(access, 'pg_dumpall', options),
  ])
  const session = await PsqlSession.open(access, { ...options, applicationName })
  try {
    const { version: server } = await readServer(session)
    const versions = { server, pgDump, pgDumpall, prefixed: access.prefix.length > 0 }
    assertCanDump(versions)
    const limit = dumpLimit(versions)
    if (limit !== undefined) context.emit({ type: 'warning', ...limit })
    await session.close()
    return versions
  } finally {
    session.kill()
  }
}

/** `server`: the version of the one to restore to. Throws ERR_PROGRAM or ERR_DESTINATION. */
export async function checkRestoreVersions(
  context: Context,
  access: ServerAccess,
  server: string,
  { postgres }: Manifest,
): Promise<void> {
  const { environment, signal } = context
  const pgRestore = await programVersion(access, 'pg_restore', { environment, signal })
  assertCanRestore({
    server,
    pgRestore,
    source: postgres.server,
    archive: postgres.minimumPgRestore,
    prefixed: access.prefix.length > 0,
  })
}
