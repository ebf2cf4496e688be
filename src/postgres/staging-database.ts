/**
 * The staging database of one restore: its name, how it comes into its place, and how it is undone. All sessions of a
 * restore carry an application name of their own, because a statement goes on in the server when its client was killed:
 * whoever tidies up ends those first.
 */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Occupancy } from './destination-database.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteIdentifier, quoteLiteral } from './quoting.ts'
import { endSessions } from './run-sessions.ts'

export interface Staging {
  readonly name: string
  /** The name it will have. */
  readonly wanted: string
  /** What an empty database of the wanted name is moved to, to be dropped. */
  readonly replaced: string
  /** What one that is not empty is moved to: nobody shall take it for what a killed restore left. */
  readonly kept: string
  /** Of every session of this restore, and of no other. */
  readonly applicationName: string
}

const tailBytes = 6

/** 63 bytes is the most a name keeps (PostgreSQL documentation, 4.1.1): the random tail must survive, and no character in half. */
function headOf(database: string, word = 'coffre'): string {
  let head = database
  while (Buffer.byteLength(head) > 40) head = head.replace(/.$/su, '')
  return `${head}_${word}_`
}

/**
 * How its sessions load: settings of the staging database itself, so that pg_restore and every lane have them, and nobody else.
 * Commits need not wait for the disk, since the one that renames the database does, and the log is written in order; indexes are
 * sorted in more memory, the jobs' share of what the server has for its buffers; and an autovacuum that stands in the way is
 * sent off at once (PostgreSQL documentation: synchronous_commit, maintenance_work_mem, deadlock_timeout).
 */
export async function setForLoading(
  maintenance: PsqlSession,
  name: string,
  { jobs, superuser }: { readonly jobs: number; readonly superuser: boolean },
): Promise<void> {
  const [row] =
    await maintenance.query(`SELECT greatest(pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),
    least(1073741824, pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) / ${jobs})) / 1024 AS "memoryKilobytes"`)
  const { memoryKilobytes } = z.object({ memoryKilobytes: z.number() }).parse(row)
  const settings = [
    'synchronous_commit = off',
    `maintenance_work_mem = ${memoryKilobytes}`,
    ...(superuser ? ['deadlock_timeout = 100'] : []),
  ]
  for (const setting of settings)
    await maintenance.execute(`ALTER DATABASE ${quoteIdentifier(name)} SET ${setting}`)
}

/** Takes them away again, before the restored database gets its own. */
export async function resetAfterLoading(maintenance: PsqlSession, name: string): Promise<void> {
  await maintenance.execute(`ALTER DATABASE ${quoteIdentifier(name)} RESET ALL`)
}

export function newStaging(wanted: string): Staging {
  const tail = (): string => randomBytes(tailBytes).toString('hex')
  const name = `${headOf(wanted)}${tail()}`
  return {
    name,
    wanted,
    replaced: `${headOf(wanted)}${tail()}`,
    kept: `${headOf(wanted, 'replaced')}${tail()}`,
    applicationName: `coffre restore ${name.slice(-2 * tailBytes)}`,
  }
}

/** Staging databases for this name that nobody is connected to: left by restores that were killed. */
export async function abandonedStaging(maintenance: PsqlSession, wanted: string): Promise<readonly string[]> {
  const head = quoteLiteral(headOf(wanted))
  const rows = await maintenance.query(`
    SELECT d.datname AS name FROM pg_catalog.pg_database d WHERE pg_catalog.starts_with(d.datname, ${head})
      AND pg_catalog.substr(d.datname, pg_catalog.length(${head}) + 1) ~ '^[0-9a-f]{${2 * tailBytes}}$'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid) ORDER BY 1`)
  return rows.map((row) => z.object({ name: z.string() }).parse(row).name)
}

/** By which it is known whatever its name is. */
export async function databaseOid(maintenance: PsqlSession, name: string): Promise<number | undefined> {
  const [row] = await maintenance.query(
    `SELECT oid::pg_catalog.int8 AS oid FROM pg_catalog.pg_database WHERE datname = ${quoteLiteral(name)}`,
  )
  return row === undefined ? undefined : z.object({ oid: z.number() }).parse(row).oid
}

/**
 * Other sessions are shut out first; then all names change, and the door opens again, in one transaction. Throws when a
 * session still holds on.
 */
export async function renameIntoPlace(
  maintenance: PsqlSession,
  { name, wanted, replaced, kept }: Staging,
  found: Occupancy,
): Promise<void> {
  for (const shut of found === 'absent' ? [name] : [name, wanted]) {
    await maintenance.execute(`ALTER DATABASE ${quoteIdentifier(shut)} ALLOW_CONNECTIONS false`)
    await maintenance.execute(
      `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = ${quoteLiteral(shut)}`,
    )
  }
  const rename = (from: string, to: string): string =>
    `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`
  await maintenance.execute(
    [
      'BEGIN',
      ...(found === 'absent' ? [] : [rename(wanted, found === 'empty' ? replaced : kept)]),
      rename(name, wanted),
      `ALTER DATABASE ${quoteIdentifier(wanted)} ALLOW_CONNECTIONS true`,
      'COMMIT',
    ].join('; '),
  )
}

export interface StagingState {
  readonly oid: number | undefined
  readonly found: Occupancy
  readonly inside: () => Promise<PsqlSession>
}

/**
 * In a database that is to be dropped, which a subscription forbids. DROP SUBSCRIPTION would have the publisher drop the
 * slot, and that one is still the source's: so the slot is forgotten first, and the publisher never hears of it
 * (PostgreSQL documentation, DROP SUBSCRIPTION, Notes).
 */
export async function dropSubscriptions(
  maintenance: PsqlSession,
  database: string,
  inside: () => Promise<PsqlSession>,
): Promise<void> {
  const names = await subscriptionsOf(maintenance, database)
  if (names.length === 0) return
  await allowConnections(maintenance, database)
  const session = await inside()
  try {
    for (const name of names.map((one) => quoteIdentifier(one))) {
      await session.execute(`ALTER SUBSCRIPTION ${name} DISABLE`)
      await session.execute(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`)
      await session.execute(`DROP SUBSCRIPTION ${name}`)
    }
    await session.close()
  } finally {
    session.kill()
  }
}

export async function subscriptionsOf(session: PsqlSession, database: string): Promise<readonly string[]> {
  const rows = await session.query(`SELECT s.subname AS name FROM pg_catalog.pg_subscription s
    JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = ${quoteLiteral(database)} ORDER BY 1`)
  return rows.map((row) => z.object({ name: z.string() }).parse(row).name)
}

/**
 * After a failure, over a session of another name; `inside` opens one in the staging database. `oid`: undefined where it is not certain that the database was made.
 * Returns whether the new database turned out to be in its place already: then that is where it stays.
 */
export async function undoStaging(
  maintenance: PsqlSession,
  { name, wanted, replaced, kept, applicationName }: Staging,
  { oid, found, inside }: StagingState,
): Promise<boolean> {
  await endSessions(maintenance, applicationName)
  const [row] = await maintenance.query(
    `SELECT count(*) AS found FROM pg_catalog.pg_database WHERE datname = ${quoteLiteral(wanted)} AND oid = ${oid ?? 0}`,
  )
  const inPlace = z.object({ found: z.number() }).parse(row).found > 0
  // What was moved away is empty only as far as was seen before: where the new one is in place already, it is left.
  if (!inPlace) {
    await dropSubscriptions(maintenance, name, inside)
    await dropDatabase(maintenance, name, { force: true })
  }
  const old = found === 'empty' ? replaced : kept
  const shut = inPlace ? old : wanted
  // It may be gone by now, if it was to be dropped.
  if (found !== 'absent' && (await databaseOid(maintenance, shut)) !== undefined)
    await allowConnections(maintenance, shut)
  return inPlace
}

export async function allowConnections(maintenance: PsqlSession, name: string): Promise<void> {
  await maintenance.execute(`ALTER DATABASE ${quoteIdentifier(name)} ALLOW_CONNECTIONS true`)
}

/** `force` ends the sessions that are still in it. */
export async function dropDatabase(
  maintenance: PsqlSession,
  name: string,
  { force }: { readonly force: boolean },
): Promise<void> {
  await maintenance.execute(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}${force ? ' WITH (FORCE)' : ''}`)
}
