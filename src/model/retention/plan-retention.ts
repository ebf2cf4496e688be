/**
 * Which backups stay and which go, with a reason for every one. Pure: the same backups, policy and moment give the same plan.
 *
 * The newest backup of each calendar day, ISO week, month and year in one time zone, as many periods of each as the policy
 * says; only periods that have backups count; one backup may stand for several; the rules are ORed. Time is the
 * snapshot's, from the signed manifest. A scope is one source on one server (its system identifier): backups of two
 * servers under one name never push each other out.
 *
 * Never removed: the newest; the two newest proven; a held or locked one; one that is doubted (`first-sight.ts`); fewer
 * than `minKeep` are never left; more than `maxRemoveFraction` never go at once, and nothing goes while the newest is
 * older than `newestWithinMs`. Pruning every day leaves the same as pruning once.
 */
import { clockToleranceMs, scopeOf } from './first-sight.ts'
import { periodsOf, type Periods } from './periods.ts'

/** How many periods that have backups; 'all': without end. */
export type PeriodCount = number | 'all'

export interface RetentionPolicy {
  readonly daily: PeriodCount
  readonly weekly: PeriodCount
  readonly monthly: PeriodCount
  readonly yearly: PeriodCount
  /** IANA name. */
  readonly timeZone: string
  /** Of each scope, at least 1. */
  readonly minKeep: number
  /** Of a source's backups, in one run; 0 to 1. */
  readonly maxRemoveFraction: number
  /** Nothing of a source is removed while its newest backup is older. */
  readonly newestWithinMs: number
}

/** A backup whose manifest can be believed: nothing else is ever counted, or removed. */
export interface RetainedBackup {
  readonly source: string
  readonly systemIdentifier: string
  readonly id: string
  readonly sequence: number
  readonly snapshotTime: Date
  /** Why its date or number is not believed (`doubtsOf`). */
  readonly doubt: string | undefined
  /** A complete drill of this very manifest found no difference. */
  readonly proven: boolean
  /** Why somebody holds it. */
  readonly held: string | undefined
  /** The store refuses to remove it until then. */
  readonly lockedUntil: Date | undefined
}

export interface Decision {
  readonly source: string
  readonly id: string
  /** Not empty. */
  readonly reasons: readonly string[]
}

export interface RetentionPlan {
  /** Oldest first, like the others. */
  readonly keep: readonly Decision[]
  readonly remove: readonly Decision[]
  /** What has no other reason to stay than a lock, with its end. Also in `keep`. */
  readonly locked: readonly { readonly source: string; readonly id: string; readonly until: Date }[]
  /** A person must look at these; they are kept. */
  readonly doubted: readonly { readonly source: string; readonly id: string; readonly doubt: string }[]
  /** Sources of which a guard let nothing go, and why. */
  readonly refused: readonly { readonly source: string; readonly guard: string }[]
}

/** However the rules fall: with one alone, its loss would leave nothing that is known to restore. */
const provenKept = 2

const rules = ['daily', 'weekly', 'monthly', 'yearly'] as const
const nouns = { daily: 'days', weekly: 'weeks', monthly: 'months', yearly: 'years' } as const

export function planRetention(
  backups: readonly RetainedBackup[],
  policy: RetentionPolicy,
  now: Date,
): RetentionPlan {
  const plans = [...Map.groupBy(backups, ({ source }) => source).values()].map((ofSource) =>
    planSource(ofSource, policy, now),
  )
  return {
    keep: plans.flatMap(({ keep }) => keep),
    remove: plans.flatMap(({ remove }) => remove),
    locked: plans.flatMap(({ locked }) => locked),
    doubted: plans.flatMap(({ doubted }) => doubted),
    refused: plans.flatMap(({ refused }) => refused),
  }
}

interface Judged {
  readonly backup: RetainedBackup
  readonly doubt: string | undefined
  /** Why it stays; empty where only `against` speaks. */
  readonly reasons: readonly string[]
  /** Why each rule lets it go. */
  readonly against: readonly string[]
}

function planSource(backups: readonly RetainedBackup[], policy: RetentionPolicy, now: Date): RetentionPlan {
  const judged = [...Map.groupBy(backups, scopeOf).values()]
    .flatMap((scope) => judgeScope(scope, policy, now))
    .toSorted((a, b) => oldestFirst(a.backup, b.backup))
  const source = judged[0]?.backup.source ?? ''
  const going = judged.filter(({ reasons }) => reasons.length === 0)
  const guard = guardAgainst(judged, going.length, policy, now)
  const decision = ({ backup }: Judged, reasons: readonly string[]): Decision => ({
    source,
    id: backup.id,
    reasons,
  })
  return {
    keep: judged.flatMap((one) => {
      if (one.reasons.length > 0) return [decision(one, one.reasons)]
      return guard === undefined ? [] : [decision(one, ['refused by a guard', ...one.against])]
    }),
    remove: guard === undefined ? going.map((one) => decision(one, one.against)) : [],
    locked: judged.flatMap(({ backup: { id, lockedUntil }, reasons }) =>
      lockedUntil !== undefined && reasons.length === 1 && reasons[0] === lockReason(lockedUntil)
        ? [{ source, id, until: lockedUntil }]
        : [],
    ),
    doubted: judged.flatMap(({ backup: { id }, doubt }) =>
      doubt === undefined ? [] : [{ source, id, doubt }],
    ),
    refused: guard === undefined ? [] : [{ source, guard }],
  }
}

function guardAgainst(
  judged: readonly Judged[],
  going: number,
  { newestWithinMs, maxRemoveFraction }: RetentionPolicy,
  now: Date,
): string | undefined {
  if (going === 0) return undefined
  const believed = judged.filter(({ doubt }) => doubt === undefined)
  const newest = Math.max(...believed.map(({ backup }) => backup.snapshotTime.getTime()))
  if (now.getTime() - newest > newestWithinMs)
    return `its newest backup is of ${new Date(newest).toISOString()}: nothing is removed while backups have stopped`
  const allowed = Math.floor(maxRemoveFraction * judged.length)
  if (going > allowed)
    return `${going} of ${judged.length} backups would go, and max_remove_fraction lets ${allowed} go at once`
  return undefined
}

/** The backups of one source on one server. */
function judgeScope(
  backups: readonly RetainedBackup[],
  policy: RetentionPolicy,
  now: Date,
): readonly Judged[] {
  const doubts = new Map(
    backups.flatMap((backup) => {
      const doubt = futureDoubt(backup, now) ?? backup.doubt
      return doubt === undefined ? [] : [[backup.id, doubt]]
    }),
  )
  const believed = backups.filter(({ id }) => !doubts.has(id)).toSorted((a, b) => oldestFirst(b, a))
  const reasons = new Map<string, string[]>(backups.map(({ id }) => [id, []]))
  const against = new Map<string, string[]>(backups.map(({ id }) => [id, []]))
  const keep = (id: string, reason: string): void => void reasons.get(id)?.push(reason)
  if (believed[0] !== undefined) keep(believed[0].id, 'newest')
  believed
    .filter(({ proven }) => proven)
    .slice(0, provenKept)
    .forEach(({ id }, index) => keep(id, index === 0 ? 'newest proven' : 'second newest proven'))
  const dated = believed.map(({ id, snapshotTime }) => ({
    id,
    periods: periodsOf(snapshotTime, policy.timeZone),
  }))
  for (const rule of rules) {
    applyRule(rule, policy[rule], dated, {
      keep,
      letGo: (id, reason) => void against.get(id)?.push(reason),
    })
  }
  for (const { id, held, lockedUntil } of backups) {
    const doubt = doubts.get(id)
    if (doubt !== undefined) keep(id, `doubted: ${doubt}`)
    if (held !== undefined) keep(id, `held: ${held}`)
    if (lockedUntil !== undefined && lockedUntil > now) keep(id, lockReason(lockedUntil))
  }
  for (const { id } of believed.slice(0, policy.minKeep))
    if (reasons.get(id)?.length === 0) keep(id, `among the newest ${policy.minKeep} (min_keep)`)
  return backups.map((backup) => ({
    backup,
    doubt: doubts.get(backup.id),
    reasons: reasons.get(backup.id) ?? [],
    against: against.get(backup.id) ?? [],
  }))
}

function futureDoubt({ snapshotTime }: RetainedBackup, now: Date): string | undefined {
  const ahead = snapshotTime.getTime() > now.getTime() + clockToleranceMs
  return ahead ? `dated in the future, ${snapshotTime.toISOString()}` : undefined
}

interface Verdicts {
  readonly keep: (id: string, reason: string) => void
  readonly letGo: (id: string, reason: string) => void
}

/** `dated`: newest first, so that the first of a period is its newest. */
function applyRule(
  rule: keyof Periods,
  count: PeriodCount,
  dated: readonly { readonly id: string; readonly periods: Periods }[],
  { keep, letGo }: Verdicts,
): void {
  let period: string | undefined
  let newestOfPeriod = ''
  let used = 0
  for (const { id, periods } of dated) {
    const own = periods[rule]
    if (own !== period) {
      period = own
      newestOfPeriod = id
      used += 1
      if (count === 'all' || used <= count) keep(id, `${rule} ${own}`)
      else letGo(id, `${rule}: older than the ${count} ${nouns[rule]} kept`)
    } else letGo(id, `${rule}: ${newestOfPeriod} is newer in ${own}`)
  }
}

function lockReason(until: Date): string {
  return `locked until ${until.toISOString()}`
}

function oldestFirst(a: RetainedBackup, b: RetainedBackup): number {
  return (
    a.snapshotTime.getTime() - b.snapshotTime.getTime() || a.sequence - b.sequence || (a.id < b.id ? -1 : 1)
  )
}
