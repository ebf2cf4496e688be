/**
 * Judges what was found out about a source before its backup (preflight-facts.ts): what would make the backup fail, and
 * what would be missing from it, all at once, each with its way out. Pure: facts in, findings out.
 */
import { CoffreError } from '../errors.ts'
import type { PreflightFacts } from './preflight-facts.ts'
import { quoteIdentifier } from './quoting.ts'

/** `refuse`: the backup would fail, or lack rows. `warn`: it can be made, and somebody must know what it lacks. */
export interface Finding {
  readonly severity: 'refuse' | 'warn'
  readonly message: string
  readonly hint: string
}

export interface BackupNeeds {
  /** Lanes that read at once, one connection each. */
  readonly jobs: number
}

/** The snapshot's session, and one that asks who is in the way. */
const moreConnections = 2
/** Catalogs and their indexes, which every session locks as well. */
const moreLocks = 200
const namedAtMost = 10

export function judgePreflight(facts: PreflightFacts, needs: BackupNeeds): readonly Finding[] {
  return [
    ...judgeRights(facts),
    ...judgeLargeObjects(facts),
    ...judgeRowSecurity(facts),
    ...judgeLocks(facts),
    ...judgeConnections(facts, needs),
    ...judgeStandby(facts),
    ...judgeSnapshotAge(facts),
    ...judgeVerifiers(facts),
  ]
}

/** All that refuses, as one error; undefined where nothing does. */
export function refusal(findings: readonly Finding[]): CoffreError | undefined {
  const refused = findings.filter(({ severity }) => severity === 'refuse')
  if (refused.length === 0) return undefined
  const message = refused.map((one) => one.message).join('; ')
  return new CoffreError('ERR_SOURCE', `the backup was not begun: ${message}`, {
    hint: [...new Set(refused.map(({ hint }) => hint))].join('; '),
  })
}

const refuse = (message: string, hint: string): Finding => ({ severity: 'refuse', message, hint })
const warn = (message: string, hint: string): Finding => ({ severity: 'warn', message, hint })

function named(names: readonly string[]): string {
  const rest = names.length - namedAtMost
  return names.slice(0, namedAtMost).join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

function judgeRights(facts: PreflightFacts): readonly Finding[] {
  const { role, unusableSchemas, unreadableTables, unreadableSequences } = facts
  const lacks = [
    ...(unusableSchemas.length > 0 ? [`USAGE on the schemas ${named(unusableSchemas)}`] : []),
    ...(unreadableTables.length > 0 ? [`SELECT on the tables ${named(unreadableTables)}`] : []),
    ...(unreadableSequences.length > 0 ? [`SELECT on the sequences ${named(unreadableSequences)}`] : []),
  ]
  if (lacks.length === 0) return []
  return [
    refuse(
      `the role ${JSON.stringify(role)} lacks ${lacks.join(', ')}`,
      `GRANT pg_read_all_data TO ${quoteIdentifier(role)}`,
    ),
  ]
}

/** pg_read_all_data does not cover them (PostgreSQL documentation, 22.5 Predefined Roles). */
function judgeLargeObjects({ role, unreadableLargeObjects }: PreflightFacts): readonly Finding[] {
  const [first] = unreadableLargeObjects
  if (first === undefined) return []
  return [
    refuse(
      `the role ${JSON.stringify(role)} may not read the large objects ${named(unreadableLargeObjects)}`,
      `GRANT SELECT ON LARGE OBJECT ${first} TO ${quoteIdentifier(role)}, for each of them; or back up as their owner, or as a superuser`,
    ),
  ]
}

function judgeRowSecurity({ role, securedTables }: PreflightFacts): readonly Finding[] {
  if (securedTables.length === 0) return []
  return [
    refuse(
      `row security would hide rows of ${named(securedTables)} from the role ${JSON.stringify(role)}`,
      `ALTER ROLE ${quoteIdentifier(role)} BYPASSRLS; or back up as a superuser, or as the tables' owner where row security is not forced`,
    ),
  ]
}

function judgeLocks(facts: PreflightFacts): readonly Finding[] {
  const { relations, locksHeld, lockRoom, lockSlots, maxLocksPerTransaction } = facts
  const needed = relations + locksHeld + moreLocks
  if (needed <= lockRoom) return []
  const enough = Math.ceil((needed * 1.2) / lockSlots)
  return [
    refuse(
      `the server's lock table has room for ${lockRoom} locks (max_locks_per_transaction = ${maxLocksPerTransaction}); the ${relations} relations of this database need ${needed}, with what others hold`,
      `ALTER SYSTEM SET max_locks_per_transaction = ${enough}, and restart the server`,
    ),
  ]
}

function judgeConnections(facts: PreflightFacts, { jobs }: BackupNeeds): readonly Finding[] {
  const { role, freeForRole, freeForDatabase, freeOnServer } = facts
  const needed = jobs + moreConnections
  const limits = [
    { what: `the role ${JSON.stringify(role)}`, free: freeForRole, raise: `ALTER ROLE … CONNECTION LIMIT` },
    { what: 'the database', free: freeForDatabase, raise: 'ALTER DATABASE … CONNECTION LIMIT' },
    { what: 'the server', free: freeOnServer, raise: 'max_connections' },
  ].flatMap(({ free, ...limit }) => (free === null ? [] : [{ ...limit, free }]))
  return limits
    .filter(({ free }) => free < needed)
    .map(({ what, free, raise }) => {
      const fewer = free - moreConnections
      return refuse(
        `${what} has ${Math.max(free, 0)} connections left, and a backup with ${jobs} jobs needs ${needed}`,
        `raise ${raise}${fewer >= 1 ? `, or set jobs: ${fewer} for this source` : ', or back up when fewer are in use'}`,
      )
    })
}

function judgeStandby({ standby, unlogged }: PreflightFacts): readonly Finding[] {
  if (!standby || unlogged.length === 0) return []
  return [
    warn(
      `the source is a standby, which has no rows of unlogged tables and sequences: left out are those of ${named(unlogged)}`,
      'back up from the primary where they matter',
    ),
  ]
}

function judgeSnapshotAge({ snapshotMinutes }: PreflightFacts): readonly Finding[] {
  if (snapshotMinutes === null) return []
  return [
    warn(
      `old_snapshot_threshold is ${snapshotMinutes} min: a backup that takes longer fails with "snapshot too old"`,
      'ALTER SYSTEM SET old_snapshot_threshold = -1, and restart the server',
    ),
  ]
}

function judgeVerifiers({ role, readsVerifiers }: PreflightFacts): readonly Finding[] {
  if (readsVerifiers) return []
  return [
    warn(
      `the role ${JSON.stringify(role)} may not read password verifiers: roles are backed up without their passwords`,
      `GRANT pg_read_all_data TO ${quoteIdentifier(role)}, or keep the passwords by other means`,
    ),
  ]
}
