/** coffre restore ID|latest: into a database, or to a folder as files. */
import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { CoffreError } from '../../errors.ts'
import { formatDuration } from '../../model/duration.ts'
import type { FreshSelector } from '../../operations/find-backup.ts'
import { restoreFiles } from '../../operations/restore-files.ts'
import type { Replace } from '../../operations/restore-place.ts'
import type { RestoreNames } from '../../operations/restore-selection.ts'
import { restore, type RestoreResult } from '../../operations/restore.ts'
import { inDatabase, parsePostgresUrl, type ServerAccess } from '../../postgres/conninfo.ts'
import { identityFrom, type IdentityOptions } from '../identity.ts'
import { chosenSources, sourceAccess, type Session } from '../session.ts'
import { formatBytes } from '../units.ts'

export interface RestoreOptions extends IdentityOptions {
  readonly to?: string
  readonly toSource?: string
  readonly toDirectory?: string
  readonly database?: string
  readonly source?: string
  readonly jobs?: number
  /** Seconds. */
  readonly notOlderThan?: number
  readonly replace?: boolean
  readonly dropReplaced?: boolean
  readonly dryRun?: boolean
  readonly table?: readonly string[]
  readonly schema?: readonly string[]
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
    replace: replaceFrom(options),
    dryRun: options.dryRun ?? false,
    only: onlyFrom(options),
  })
  if (result.warnings.length > 0) session.host.setExitStatus(degraded)
  session.print(result, result.dryRun ? intended(result) : done(result))
}

function done({ id, partial, destination, tables, rows, durationSeconds, replaced }: RestoreResult): string {
  const old = replaced === null ? '' : `; the old one is kept as ${replaced}`
  const what = partial ? `a part of ${id}` : id
  return `${what} restored into ${destination}: ${tables} tables and ${rows} rows, every one equal to the snapshot, in ${formatDuration(durationSeconds)}${old}`
}

function intended({ id, partial, destination, tables, rows, rolesCreated, replaced }: RestoreResult): string {
  const roles = rolesCreated.length === 0 ? '' : `; it would create the roles ${rolesCreated.join(', ')}`
  const old = replaced === null ? '' : `; the old one would be kept, under another name`
  const what = partial ? `a part of ${id}` : id
  return `dry run, nothing was made: ${what} would be restored into ${destination}, ${tables} tables and ${rows} rows${roles}${old}`
}

function onlyFrom({ table, schema }: RestoreOptions): RestoreNames | undefined {
  if (table === undefined && schema === undefined) return undefined
  return { tables: table ?? [], schemas: schema ?? [] }
}

function replaceFrom({ replace, dropReplaced }: RestoreOptions): Replace {
  if (dropReplaced === true && replace !== true) {
    throw new CoffreError(
      'ERR_USAGE',
      '--drop-replaced says what becomes of the database that --replace replaces',
      {
        hint: 'add --replace too, if that is what you mean',
      },
    )
  }
  if (replace !== true) return 'never'
  return dropReplaced === true ? 'drop' : 'keep'
}

/** These speak of a database that is made; with --to-directory none is. */
const onlyForDatabases = [
  'to',
  'toSource',
  'database',
  'jobs',
  'replace',
  'dropReplaced',
  'table',
  'schema',
] as const

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
  const dryRun = options.dryRun ?? false
  const request = { repository, selector, identity, directory, dryRun }
  const result = await restoreFiles(session.context, request)
  if (dryRun) {
    const what = `${result.id} would be decrypted into ${result.destination}: ${formatBytes(result.plainBytes)}`
    session.print(result, `dry run, nothing was made: ${what}`)
    return
  }
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
