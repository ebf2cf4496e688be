/**
 * restore: one whole backup into a new database. Everything happens in a staging database that only this run knows;
 * rows, sequences and large objects are compared with the inventory there, always; and only an equal one is renamed
 * to the wanted name. A failed restore leaves the server as it was, but for roles it had to create, which it names.
 */
import { CoffreError } from '../errors.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Identity } from '../openpgp/keys.ts'
import { Lanes } from '../pipeline/lanes.ts'
import { describeAccess, inDatabase, type ServerAccess } from '../postgres/conninfo.ts'
import {
  assertDatabaseName,
  createDatabaseStatement,
  createMissingRoles,
  databasePropertyStatements,
  dropDatabase,
  occupancy,
  renameIntoPlace,
  stagingName,
} from '../postgres/destination-database.ts'
import { readServer } from '../postgres/catalog.ts'
import { PsqlSession } from '../postgres/psql-session.ts'
import type { Repository } from '../repository/repository.ts'
import { compareWithInventory } from './compare-with-inventory.ts'
import type { Context } from './context.ts'
import { findBackup, type BackupSelector } from './find-backup.ts'
import {
  loadDefinitions,
  loadLargeObjects,
  loadRowArtifacts,
  openSchemaArchive,
  type LoadTarget,
} from './load.ts'
import { OpenedBackup } from './opened-backup.ts'

export interface RestoreRequest {
  readonly repository: Repository
  readonly selector: BackupSelector
  readonly identity: Identity
  /** The server, and as its database the name the restored one will have. */
  readonly destination: ServerAccess
  readonly jobs: 'auto' | number
}

export interface RestoreResult {
  readonly ok: true
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly tables: number
  readonly rows: number
  readonly durationSeconds: number
  readonly rolesCreated: readonly string[]
}

export async function restore(context: Context, request: RestoreRequest): Promise<RestoreResult> {
  const startedAt = context.now()
  const wanted = assertDatabaseName(request.destination.parameters['dbname'])
  const backup = await findBackup(request.repository, request.selector)
  const ageHours = (startedAt.getTime() - Date.parse(backup.manifest.snapshotTime)) / 3_600_000
  context.emit({
    type: 'note',
    message: `${backup.ref.id} of ${backup.ref.source}, number ${backup.manifest.sequence}, ${ageHours.toFixed(1)} hours old`,
  })
  const opened = new OpenedBackup(request.repository, backup, request.identity, context.signal)
  context.emit({ type: 'stage', stage: 'opening' })
  const inventory = await opened.inventory()
  context.emit({ type: 'stage', stage: 'connecting' })
  const maintenance = await openMaintenance(context, request.destination)
  try {
    const rolesCreated = await intoStaging(context, request, { wanted, opened, inventory, maintenance })
    await maintenance.close()
    return {
      ok: true,
      id: backup.ref.id,
      source: backup.ref.source,
      destination: describeAccess(request.destination),
      tables: inventory.tables.length,
      rows: inventory.tables.reduce((sum, { rows }) => sum + rows, 0),
      durationSeconds: (context.now().getTime() - startedAt.getTime()) / 1000,
      rolesCreated,
    }
  } finally {
    maintenance.kill()
  }
}

interface Restoring {
  readonly wanted: string
  readonly opened: OpenedBackup
  readonly inventory: Inventory
  readonly maintenance: PsqlSession
}

async function intoStaging(
  context: Context,
  request: RestoreRequest,
  restoring: Restoring,
): Promise<readonly string[]> {
  const { wanted, inventory, maintenance } = restoring
  const found = await occupancy(maintenance, wanted, () =>
    openSession(context, inDatabase(request.destination, wanted)),
  )
  if (found === 'occupied') {
    throw new CoffreError(
      'ERR_DESTINATION',
      `the database ${JSON.stringify(wanted)} exists and is not empty: it is left as it is`,
    )
  }
  const { versionNumber } = await readServer(maintenance)
  const oldest = Math.floor(inventory.server.versionNumber / 10000)
  if (Math.floor(versionNumber / 10000) < oldest) {
    throw new CoffreError(
      'ERR_DESTINATION',
      `the backup is of PostgreSQL ${inventory.server.version}; this server is older`,
      {
        hint: `restore on PostgreSQL ${oldest} or newer`,
      },
    )
  }
  const rolesCreated = await createMissingRoles(maintenance, inventory.roles)
  if (rolesCreated.length > 0)
    context.emit({ type: 'note', message: `created the missing roles ${rolesCreated.join(', ')}` })
  const staging = stagingName(wanted)
  let finished = false
  try {
    await maintenance.execute(createDatabaseStatement(staging, inventory.database, versionNumber))
    await fill(context, request, restoring, staging)
    context.emit({ type: 'stage', stage: 'renaming' })
    const replaced = found === 'empty' ? stagingName(wanted) : undefined
    await renameIntoPlace(maintenance, { staging, final: wanted, replaced })
    finished = true
    if (replaced !== undefined) await dropDatabase(maintenance, replaced)
  } finally {
    if (!finished) await dropStaging(context, request.destination, staging)
  }
  return rolesCreated
}

async function fill(
  context: Context,
  request: RestoreRequest,
  { opened, inventory, maintenance }: Restoring,
  staging: string,
): Promise<void> {
  const jobs = request.jobs === 'auto' ? context.cores : request.jobs
  const access = inDatabase(request.destination, staging)
  await using lanes = new Lanes(jobs, context.signal)
  const target: LoadTarget = { context, opened, inventory, access, lanes, jobs }
  await using schema = await openSchemaArchive(target)
  context.emit({ type: 'stage', stage: 'definitions' })
  await loadDefinitions(target, schema, 'pre-data')
  context.emit({ type: 'stage', stage: 'loading' })
  await loadRowArtifacts(target)
  await loadLargeObjects(target)
  context.emit({ type: 'stage', stage: 'indexes' })
  await loadDefinitions(target, schema, 'post-data')
  const session = await openSession(context, access)
  try {
    await session.execute('ANALYZE')
    context.emit({ type: 'stage', stage: 'comparing' })
    const differences = await compareWithInventory(target, session)
    if (differences.length > 0) throw mismatch(differences)
    await session.close()
  } finally {
    session.kill()
  }
  for (const statement of databasePropertyStatements(staging, inventory.database))
    await maintenance.execute(statement)
}

function mismatch(differences: readonly string[]): CoffreError {
  const shown = differences.slice(0, 10).join('; ')
  const more = differences.length > 10 ? `; and ${differences.length - 10} more` : ''
  return new CoffreError('ERR_MISMATCH', `what was restored is not what was backed up: ${shown}${more}`)
}

async function openSession(context: Context, access: ServerAccess): Promise<PsqlSession> {
  return await PsqlSession.open(access, {
    environment: context.environment,
    signal: context.signal,
    applicationName: 'coffre restore',
  })
}

/** Any database but the one that is made: `postgres` by custom, `template1` where there is none. */
async function openMaintenance(context: Context, destination: ServerAccess): Promise<PsqlSession> {
  try {
    return await openSession(context, inDatabase(destination, 'postgres'))
  } catch (error) {
    if (!(error instanceof CoffreError) || !/database .* does not exist/.test(error.message)) throw error
    return await openSession(context, inDatabase(destination, 'template1'))
  }
}

/** After a failure or an interruption, so over a session of its own that the abort does not reach. */
async function dropStaging(context: Context, destination: ServerAccess, staging: string): Promise<void> {
  const lasting = { ...context, signal: new AbortController().signal }
  try {
    const session = await openMaintenance(lasting, destination)
    await dropDatabase(session, staging)
    await session.close()
  } catch {
    context.emit({
      type: 'warning',
      message: `the staging database ${JSON.stringify(staging)} could not be dropped`,
      hint: `DROP DATABASE "${staging.replaceAll('"', '""')}" WITH (FORCE);`,
    })
  }
}
