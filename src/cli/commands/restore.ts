/** coffre restore ID|latest: into a database, or to a folder as files. */
import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { CoffreError } from '../../errors.ts'
import type { FreshSelector } from '../../operations/find-backup.ts'
import { restoreFiles } from '../../operations/restore-files.ts'
import { restore } from '../../operations/restore.ts'
import { inDatabase, parsePostgresUrl, type ServerAccess } from '../../postgres/conninfo.ts'
import { identityFrom, type IdentityOptions } from '../identity.ts'
import { chosenSources, sourceAccess, type Session } from '../session.ts'
import { formatBytes, formatDuration } from '../units.ts'

export interface RestoreOptions extends IdentityOptions {
  readonly to?: string
  readonly toSource?: string
  readonly toDirectory?: string
  readonly database?: string
  readonly source?: string
  readonly jobs?: number
  /** Seconds. */
  readonly notOlderThan?: number
}

/** Every row is there and equal; something about the database could not be set. */
const degraded = 3

export async function restoreCommand(session: Session, id: string, options: RestoreOptions): Promise<void> {
  const selector = { id, source: options.source, notOlderThanSeconds: options.notOlderThan }
  if (options.toDirectory !== undefined) {
    await filesCommand(session, selector, options, options.toDirectory)
    return
  }
  const config = await session.config()
  const destination = destinationOf(session, config, options)
  const identity = await identityFrom(session, options)
  const repository = await session.repository(config, 'reader')
  const jobs = options.jobs ?? 'auto'
  const result = await restore(session.context, {
    repository,
    selector,
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

/** These speak of a database that is made; with --to-directory none is. */
const onlyForDatabases = ['to', 'toSource', 'database', 'jobs'] as const

async function filesCommand(
  session: Session,
  selector: FreshSelector,
  options: RestoreOptions,
  folder: string,
): Promise<void> {
  for (const name of onlyForDatabases) {
    if (options[name] === undefined) continue
    const word = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw new CoffreError(
      'ERR_USAGE',
      `--to-directory makes files and no database: --${word} does not go with it`,
    )
  }
  const config = await session.config()
  const identity = await identityFrom(session, options)
  const repository = await session.repository(config, 'reader')
  const directory = resolve(session.host.folder, folder)
  const result = await restoreFiles(session.context, { repository, selector, identity, directory })
  const bytes = result.files.reduce((sum, file) => sum + file.bytes, 0)
  session.print(
    result,
    [
      `${result.id} decrypted into ${result.destination}: ${result.files.length} files, ${formatBytes(bytes)}, every one equal to what was signed, in ${formatDuration(result.durationSeconds)}`,
      'They are your data in the clear. LOAD.md, beside them, says how to load them and how to delete them.',
    ].join('\n'),
  )
}

function destinationOf(
  session: Session,
  config: Config,
  { to, toSource, database }: RestoreOptions,
): ServerAccess {
  if ((to === undefined) === (toSource === undefined)) {
    throw new CoffreError(
      'ERR_USAGE',
      'say where to restore: --to URL, --to-source NAME --database DB, or --to-directory DIR',
      {
        hint: 'coffre restore latest --to postgres://postgres@localhost/koprogo_restored --identity key.asc',
      },
    )
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
