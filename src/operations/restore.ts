/**
 * restore: one whole backup into a new database. Everything happens in a staging database that only this run knows;
 * rows, sequences and large objects are compared with the inventory there, always; and only an equal one is renamed
 * to the wanted name. A failed restore leaves the server as it was, but for roles it had to create, which it names.
 */
import { asCoffreError, CoffreError } from '../errors.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Emit } from '../observe/events.ts'
import type { Identity } from '../openpgp/keys.ts'
import { Lanes } from '../pipeline/lanes.ts'
import { describeAccess, inDatabase, type ServerAccess } from '../postgres/conninfo.ts'
import {
  assertDatabaseName,
  createDatabaseStatement,
  databasePropertyStatements,
  type Occupancy,
} from '../postgres/destination-database.ts'
import { withoutEventTriggers } from '../postgres/definitions.ts'
import { createMissingRoles, missingRoles, roleSettingStatements } from '../postgres/destination-roles.ts'
import type { Placement } from '../postgres/destination-server.ts'
import { readServer, type ServerFacts } from '../postgres/catalog.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { quoteQualified } from '../postgres/quoting.ts'
import {
  databaseOid,
  newStaging,
  renameIntoPlace,
  resetAfterLoading,
  setForLoading,
  type Staging,
} from '../postgres/staging-database.ts'
import { wireAddress } from '../postgres/wire/wire-address.ts'
import type { Repository } from '../repository/repository.ts'
import { majorOf } from '../postgres/version-rules.ts'
import { compareWithInventory } from './compare-with-inventory.ts'
import { checkRestoreVersions } from './check-versions.ts'
import type { Context } from './context.ts'
import { findBackupToRestore, type FreshSelector } from './find-backup.ts'
import { loadDefinitions, loadLargeObjects, openSchemaArchive } from './load-definitions.ts'
import { loadRowArtifacts, type LoadTarget } from './load.ts'
import { OpenedBackup } from './opened-backup.ts'
import { checkPlace, settleReplaced, undo, type Replace } from './restore-place.ts'
import { select, type RestoreNames, type Selection } from './restore-selection.ts'
import { openMaintenance, openSession } from './restore-sessions.ts'
import { prepareDestination, tellDifferences } from './restore-destination.ts'

export interface RestoreRequest {
  readonly repository: Repository
  readonly selector: FreshSelector
  readonly identity: Identity
  /** The server, and as its database the name the restored one will have. */
  readonly destination: ServerAccess
  readonly jobs: 'auto' | number
  /** What becomes of a database of that name that is not empty; `never`: it is left as it is, and nothing is restored. */
  readonly replace: Replace
  /** Everything is looked at and told, and nothing is made. */
  readonly dryRun: boolean
  /** Only these; undefined: everything. */
  readonly only: RestoreNames | undefined
}

export interface RestoreResult {
  readonly ok: true
  /** True: the rest is what would be. */
  readonly dryRun: boolean
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly tables: number
  readonly rows: number
  readonly durationSeconds: number
  readonly rolesCreated: readonly string[]
  /** The name under which the database is kept that stood in this one's place; null where there was none with anything in it. */
  readonly replaced: string | null
  /** Whether only a part was asked for; then what came without its rows, and what names something restored and was left out. */
  readonly partial: boolean
  readonly definitionsOnly: readonly string[]
  readonly leftOut: readonly string[]
  /** Not empty: all rows are there and equal, but something about the database could not be set. */
  readonly warnings: readonly string[]
}

export async function restore(context: Context, request: RestoreRequest): Promise<RestoreResult> {
  const warnings: string[] = []
  const emit: Emit = (event) => {
    if (event.type === 'warning') warnings.push(event.message)
    context.emit(event)
  }
  return { ...(await makeRestore({ ...context, emit }, request)), warnings }
}

async function makeRestore(
  context: Context,
  request: RestoreRequest,
): Promise<Omit<RestoreResult, 'warnings'>> {
  const startedAt = context.now()
  const wanted = assertDatabaseName(request.destination.parameters['dbname'])
  const backup = await findBackupToRestore(context, request.repository, request.selector)
  const opened = new OpenedBackup(request.repository, backup, request.identity, context.signal)
  context.emit({ type: 'stage', stage: 'opening' })
  const inventory = await opened.inventory()
  context.emit({ type: 'stage', stage: 'connecting' })
  const staging = newStaging(wanted)
  const maintenance = await openMaintenance(context, request.destination, staging.applicationName)
  try {
    const selection = await selectionOf(context, request, opened, inventory)
    const judged = selection?.inventory ?? inventory
    sayRowsNotRead(context, judged)
    const restoring = { staging, opened, inventory, selection, judged, maintenance }
    const prospects = await lookAhead(context, request, restoring)
    const done = request.dryRun
      ? { rolesCreated: prospects.missingRoles, replaced: replacedBy(request, staging, prospects.found) }
      : await intoStaging(context, request, restoring, prospects)
    return {
      ok: true,
      dryRun: request.dryRun,
      id: backup.ref.id,
      source: backup.ref.source,
      destination: describeAccess(request.destination),
      tables: judged.tables.length,
      rows: judged.tables.reduce((sum, { rows }) => sum + rows, 0),
      durationSeconds: (context.now().getTime() - startedAt.getTime()) / 1000,
      ...done,
      partial: selection !== undefined,
      definitionsOnly: selection?.definitionsOnly ?? [],
      leftOut: selection?.leftOut ?? [],
    }
  } finally {
    maintenance.kill()
  }
}

function sayRowsNotRead(context: Context, { rowsNotRead = [] }: Inventory): void {
  if (rowsNotRead.length === 0) return
  const names = rowsNotRead.map(({ schema, name }) => quoteQualified(schema, name)).join(', ')
  context.emit({
    type: 'note',
    message: `the backup was made on a standby, which has no rows of unlogged tables: these come back empty: ${names}`,
  })
}

async function selectionOf(
  context: Context,
  { destination, only }: RestoreRequest,
  opened: OpenedBackup,
  inventory: Inventory,
): Promise<Selection | undefined> {
  if (only === undefined) return undefined
  const selection = await select(context, opened, destination, { inventory, names: only })
  const tell = (what: string, things: readonly string[]): void => {
    if (things.length === 0) return
    const more = things.length > 20 ? `; and ${things.length - 20} more` : ''
    context.emit({ type: 'note', message: `${what}: ${things.slice(0, 20).join('; ')}${more}` })
  }
  tell('needed, and restored without rows', selection.definitionsOnly)
  tell('left out, though it has to do with what is restored', selection.leftOut)
  return selection
}

interface Restoring {
  readonly staging: Staging
  readonly opened: OpenedBackup
  readonly inventory: Inventory
  readonly selection: Selection | undefined
  /** What of the inventory is to be there in the end. */
  readonly judged: Inventory
  readonly maintenance: PsqlSession
}

interface Prospects {
  readonly found: Occupancy
  readonly server: ServerFacts
  readonly place: Placement
  readonly missingRoles: readonly string[]
}

/** Everything that can be known before anything is made. Throws ERR_DESTINATION. */
async function lookAhead(
  context: Context,
  request: RestoreRequest,
  { staging, opened, inventory, judged, maintenance }: Restoring,
): Promise<Prospects> {
  const found = await checkPlace(context, request, staging, maintenance)
  const server = await readServer(maintenance)
  await checkRestoreVersions(context, request.destination, server.version, opened.backup.manifest)
  const place = await prepareDestination(context, maintenance, judged, server.versionNumber)
  const missing = await missingRoles(maintenance, inventory.roles)
  return { found, server, place, missingRoles: missing.map(({ name }) => name) }
}

function replacedBy({ replace }: RestoreRequest, { kept }: Staging, found: Occupancy): string | null {
  return found === 'occupied' && replace === 'keep' ? kept : null
}

async function intoStaging(
  context: Context,
  request: RestoreRequest,
  restoring: Restoring,
  { found, server, place }: Prospects,
): Promise<Pick<RestoreResult, 'rolesCreated' | 'replaced'>> {
  const { staging, inventory, maintenance } = restoring
  const created = await createMissingRoles(maintenance, inventory.roles)
  const rolesCreated = created.map(({ name }) => name)
  if (rolesCreated.length > 0)
    context.emit({ type: 'note', message: `created the missing roles ${rolesCreated.join(', ')}` })
  let oid: number | undefined
  try {
    const how = { versionNumber: server.versionNumber, tablespace: place.tablespace }
    await maintenance.execute(createDatabaseStatement(staging.name, inventory.database, how))
    oid = await databaseOid(maintenance, staging.name)
    await setForLoading(maintenance, staging.name, {
      jobs: jobsOf(context, request),
      superuser: server.superuser,
    })
    await fill(context, request, restoring, { place, server })
    await resetAfterLoading(maintenance, staging.name)
    const outside = (): Promise<PsqlSession> =>
      openMaintenance(context, request.destination, staging.applicationName)
    await attempt(context, outside, [
      ...roleSettingStatements(created),
      ...databasePropertyStatements(staging.name, inventory.database),
    ])
    context.emit({ type: 'stage', stage: 'renaming' })
    await renameIntoPlace(maintenance, staging, found)
    return { rolesCreated, replaced: await settleReplaced(context, request, { staging, found }, maintenance) }
  } catch (error) {
    // Whoever interrupts a rename does not know whether it was done: the server does.
    const inPlace = await undo(context, request.destination, staging, { oid, found })
    if (!inPlace) throw error
    return { rolesCreated, replaced: replacedBy(request, staging, found) }
  }
}

function jobsOf(context: Context, { jobs }: RestoreRequest): number {
  return jobs === 'auto' ? context.cores : jobs
}

async function fill(
  context: Context,
  request: RestoreRequest,
  { staging, opened, inventory, selection, maintenance }: Restoring,
  { place, server }: Pick<Prospects, 'place' | 'server'>,
): Promise<void> {
  const { name, applicationName } = staging
  const jobs = jobsOf(context, request)
  const access = inDatabase(request.destination, name)
  const silentAccess = withoutEventTriggers(access, server)
  await using lanes = new Lanes(jobs, context.signal)
  const tablespaces = place.keepTablespaces
  const target: LoadTarget = {
    context,
    opened,
    inventory,
    selection,
    access,
    silentAccess,
    wire: await wireAddress(maintenance, request.destination, context.environment),
    applicationName,
    lanes,
    jobs,
    tablespaces,
  }
  await using schema = await openSchemaArchive(target)
  context.emit({ type: 'stage', stage: 'definitions' })
  await loadDefinitions(target, schema, 'pre-data')
  context.emit({ type: 'stage', stage: 'loading' })
  const rerouted = await loadRowArtifacts(target)
  await loadLargeObjects(target)
  context.emit({ type: 'stage', stage: 'indexes' })
  await loadDefinitions(target, schema, 'post-data')
  // A trigger on login would write rows that the source does not have (PostgreSQL 17 and newer).
  const session = await openSession(context, silentAccess, applicationName)
  const inside = (): Promise<PsqlSession> => openSession(context, silentAccess, applicationName)
  context.emit({ type: 'stage', stage: 'comparing' })
  // Beside each other: one keeps a single process of the server busy, and neither changes a row.
  const analyzed = attempt(context, inside, ['RESET search_path; ANALYZE'])
  analyzed.catch(() => undefined)
  try {
    const differences = await compareWithInventory({ ...target, access: silentAccess }, session, rerouted)
    if (differences.length > 0) throw mismatch(differences)
    const { pgDump } = opened.backup.manifest.postgres
    await tellDifferences(context, session, {
      inventory,
      name,
      versionNumber: server.versionNumber,
      pgDump: majorOf(pgDump) < 15 ? pgDump : undefined,
    })
    await session.close()
  } finally {
    session.kill()
    await analyzed
  }
}

/** What is not data and may be refused: a refusal is told, and does not undo the restore. */
async function attempt(
  context: Context,
  open: () => Promise<PsqlSession>,
  statements: readonly string[],
): Promise<void> {
  let session: PsqlSession | undefined
  for (const statement of statements) {
    session ??= await open()
    try {
      await session.execute(statement)
    } catch (thrown) {
      session.kill()
      session = undefined
      const { code, message } = asCoffreError(thrown)
      if (code === 'ERR_INTERRUPTED') throw thrown
      context.emit({
        type: 'warning',
        message: `could not run ${statement}: ${message}`,
        hint: 'run it yourself, as a superuser',
      })
    }
  }
  await session?.close()
}

function mismatch(differences: readonly string[]): CoffreError {
  const shown = differences.slice(0, 10).join('; ')
  const more = differences.length > 10 ? `; and ${differences.length - 10} more` : ''
  return new CoffreError('ERR_MISMATCH', `what was restored is not what was backed up: ${shown}${more}`)
}
