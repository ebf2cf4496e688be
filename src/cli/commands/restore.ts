/** coffre restore ID|latest --to URL */
import type { Config } from '../../config.ts'
import { CoffreError } from '../../errors.ts'
import { restore } from '../../operations/restore.ts'
import { inDatabase, parsePostgresUrl, type ServerAccess } from '../../postgres/conninfo.ts'
import { identityFrom, type IdentityOptions } from '../identity.ts'
import { chosenSources, sourceAccess, type Session } from '../session.ts'
import { formatDuration } from '../units.ts'

export interface RestoreOptions extends IdentityOptions {
  readonly to?: string
  readonly toSource?: string
  readonly database?: string
  readonly source?: string
  readonly jobs?: number
}

/** Every row is there and equal; something about the database could not be set. */
const degraded = 3

export async function restoreCommand(session: Session, id: string, options: RestoreOptions): Promise<void> {
  const config = await session.config()
  const destination = destinationOf(session, config, options)
  const identity = await identityFrom(session, options)
  const repository = await session.repository(config, 'reader')
  const jobs = options.jobs ?? 'auto'
  const result = await restore(session.context, {
    repository,
    selector: { id, source: options.source },
    identity,
    destination,
    jobs,
  })
  if (result.warnings.length > 0) session.host.setExitStatus(degraded)
  session.print(
    result,
    `${result.id} restored into ${result.destination}: ${result.tables} tables and ${result.rows} rows, every one equal to the snapshot, in ${formatDuration(result.durationSeconds)}`,
  )
}

function destinationOf(
  session: Session,
  config: Config,
  { to, toSource, database }: RestoreOptions,
): ServerAccess {
  if ((to === undefined) === (toSource === undefined)) {
    throw new CoffreError('ERR_USAGE', 'say where to restore: --to URL, or --to-source NAME --database DB', {
      hint: 'coffre restore latest --to postgres://postgres@localhost/koprogo_restored --identity key.asc',
    })
  }
  if (to !== undefined) {
    const access = parsePostgresUrl(to)
    if (access.password !== undefined) {
      session.context.emit({
        type: 'warning',
        message: 'a password on the command line can be read by every user of this machine',
        hint: 'leave it out of the URL, and put it into ~/.pgpass or the file PGPASSFILE names',
      })
    }
    return database === undefined ? access : inDatabase(access, database)
  }
  const [source] = chosenSources(config, [toSource ?? ''])
  if (source === undefined || database === undefined)
    throw new CoffreError('ERR_USAGE', '--to-source needs --database DB, the new name')
  return inDatabase(sourceAccess(source), database)
}
