/**
 * The definitions, which pg_dump owns: the arguments of pg_dump, pg_dumpall and pg_restore that coffre uses. Rows
 * never pass through here. (PostgreSQL documentation: pg_dump, pg_dumpall, pg_restore.)
 */
import { CoffreError } from '../errors.ts'
import { collectClient, type StartOptions } from './client-tools.ts'
import { formatConninfo, type ServerAccess } from './conninfo.ts'

/** How the program's sessions are called, and what they read in. */
export interface DumpSession {
  readonly applicationName: string
  readonly snapshotId: string
}

/** Uncompressed: coffre compresses what pg_dump writes. */
function archiveOptions(
  access: ServerAccess,
  { applicationName, snapshotId }: DumpSession,
): readonly string[] {
  return [
    '--format=custom',
    '--compress=0',
    '--no-password',
    '--lock-wait-timeout=60s',
    `--snapshot=${snapshotId}`,
    `--dbname=${formatConninfo(access, { application_name: applicationName })}`,
  ]
}

/** Pre-data and post-data in one archive; REFRESH of materialized views is in post-data. */
export function schemaDumpArguments(access: ServerAccess, session: DumpSession): readonly string[] {
  return [...archiveOptions(access, session), '--section=pre-data', '--section=post-data']
}

/** The data section with every table left out, so that none is locked: large objects alone. */
export function largeObjectDumpArguments(access: ServerAccess, session: DumpSession): readonly string[] {
  return [...archiveOptions(access, session), '--section=data', '--exclude-table=*.*']
}

/** Roles, memberships and tablespaces of the whole server; without password verifiers where the role may not read them. */
export function globalsArguments(
  access: ServerAccess,
  options: { readonly verifiers: boolean; readonly applicationName: string },
): readonly string[] {
  return [
    '--globals-only',
    '--no-password',
    ...(options.verifiers ? [] : ['--no-role-passwords']),
    `--dbname=${formatConninfo(access, { application_name: options.applicationName })}`,
    ...databaseOption(access),
  ]
}

/** Without it pg_dumpall connects to `postgres`, which may not be there or not let this role in. Read as conninfo. */
function databaseOption({ parameters: { dbname } }: ServerAccess): readonly string[] {
  if (dbname === undefined) return []
  return [`--database=${formatConninfo({ prefix: [], parameters: { dbname }, password: undefined })}`]
}

/** What the manifest says of how the definitions were dumped; no names. */
export const dumpOptions: readonly string[] = [
  '--format=custom',
  '--section=pre-data',
  '--section=post-data',
  '--snapshot',
]

/**
 * For pg_restore's sessions, whatever the role has as its defaults (hazard 2): an archive's own settings come too late for
 * those that wait for work, or for the next bytes, and say nothing of reading only.
 */
const restoreSettings = [
  'default_transaction_read_only=off',
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_session_timeout=0',
  'idle_in_transaction_session_timeout=0',
]

/** As startup options, which win over the defaults of a role or database; and those of the URL win over ours. */
function restoreConninfo(access: ServerAccess): string {
  const ours = restoreSettings.map((setting) => `-c ${setting}`).join(' ')
  return formatConninfo(access, { options: `${ours} ${access.parameters['options'] ?? ''}`.trimEnd() })
}

export interface RestoreArguments {
  readonly section: 'pre-data' | 'data' | 'post-data'
  /** More than one needs `archive` to be a seekable file. */
  readonly jobs: number
  /** A path pg_restore opens; undefined for standard input. */
  readonly archive: string | undefined
  /** Whether things go into the tablespaces they were in: all of these must exist. */
  readonly tablespaces: boolean
  /** A path pg_restore reads the entries from that it takes; undefined: all. */
  readonly useList?: string | undefined
}

/**
 * Event triggers are there before materialized views are filled, and would note or forbid what a restore does. Those of
 * ENABLE ALWAYS act even so before PostgreSQL 17. Foreign keys are still checked (PostgreSQL documentation:
 * session_replication_role, event_triggers). Only superusers may ask for it, as only they may make event triggers.
 */
export function withoutEventTriggers(
  access: ServerAccess,
  server: { readonly superuser: boolean; readonly versionNumber: number },
): ServerAccess {
  if (!server.superuser) return access
  const silent = server.versionNumber >= 170_000 ? 'event_triggers=off' : 'session_replication_role=replica'
  const options = [access.parameters['options'] ?? '', `-c ${silent}`].join(' ').trim()
  return { ...access, parameters: { ...access.parameters, options } }
}

export function restoreArguments(
  access: ServerAccess,
  { section, jobs, archive, tablespaces, useList }: RestoreArguments,
): readonly string[] {
  return [
    '--exit-on-error',
    '--no-password',
    `--section=${section}`,
    `--dbname=${restoreConninfo(access)}`,
    ...(jobs > 1 ? [`--jobs=${jobs}`] : []),
    ...(tablespaces ? [] : ['--no-tablespaces']),
    ...(useList === undefined ? [] : [`--use-list=${useList}`]),
    ...(archive === undefined ? [] : [archive]),
  ]
}

/** `15.20`, as `pg_dump --version` says it behind the same prefix. Throws ERR_PROGRAM. */
export async function programVersion(
  access: ServerAccess,
  program: 'pg_dump' | 'pg_dumpall' | 'pg_restore',
  options: StartOptions,
): Promise<string> {
  const said = (
    await collectClient(access, program, ['--version'], { ...options, limitBytes: 4096 })
  ).toString('utf8')
  const version = /\b(\d{1,3}(?:\.\d{1,3}|beta\d{1,2}|rc\d{1,2}|devel)?)\b/.exec(said)?.[1]
  if (version === undefined)
    throw new CoffreError('ERR_PROGRAM', `${program} --version does not say a version`)
  return version
}
