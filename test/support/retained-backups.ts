/** Backups as the retention sees them, made from little: a time, and what is special about one. */
import { doubtsOf, type Sighting } from '../../src/model/retention/first-sight.ts'
import type {
  RetainedBackup,
  RetentionPlan,
  RetentionPolicy,
} from '../../src/model/retention/plan-retention.ts'

export const dayMs = 24 * 60 * 60 * 1000

/** Guards wide open, so that the rules alone speak. */
export const rulesAlone: RetentionPolicy = {
  daily: 0,
  weekly: 0,
  monthly: 0,
  yearly: 0,
  timeZone: 'UTC',
  minKeep: 1,
  maxRemoveFraction: 1,
  newestWithinMs: 100 * 366 * dayMs,
}

/** What somebody who asks for nothing special gets. */
export const usual: RetentionPolicy = {
  ...rulesAlone,
  daily: 7,
  weekly: 4,
  monthly: 12,
  yearly: 'all',
  minKeep: 3,
}

export type SeenBackup = RetainedBackup & Sighting

/** As the pruner sees them whose ledger holds `ever`: with the doubts that follow from it. */
export function withDoubts(
  backups: readonly SeenBackup[],
  ever: readonly Sighting[] = backups,
): readonly SeenBackup[] {
  const doubts = doubtsOf(ever, 7 * dayMs)
  return backups.map((backup) => ({ ...backup, doubt: doubts.get(backup.id) }))
}

/** One backup for each time, numbered in that order and first seen an hour after its snapshot. */
export function backupsAt(times: readonly (Date | string)[]): readonly SeenBackup[] {
  return times.map((time, index) => {
    const snapshotTime = new Date(time)
    const before = index === 0 ? null : new Date(new Date(times[index - 1] ?? 0).getTime() + 3_600_000)
    return {
      id: `${snapshotTime.toISOString()}-${String(index).padStart(6, '0')}`,
      source: 'koprogo',
      systemIdentifier: '7412345678901234567',
      sequence: index + 1,
      snapshotTime,
      firstSeen: { at: new Date(snapshotTime.getTime() + 3_600_000), before },
      doubt: undefined,
      proven: false,
      held: undefined,
      lockedUntil: undefined,
    }
  })
}

/** Every day at two in the morning, UTC. */
export function nightly(from: string, days: number): readonly SeenBackup[] {
  const first = new Date(`${from}T02:00:00Z`).getTime()
  return backupsAt(Array.from({ length: days }, (_, day) => new Date(first + day * dayMs)))
}

export const kept = ({ keep }: RetentionPlan): readonly string[] => keep.map(({ id }) => id)
export const removed = ({ remove }: RetentionPlan): readonly string[] => remove.map(({ id }) => id)

/** The moment of a plan: an hour after the newest backup. */
export function afterAll(backups: readonly RetainedBackup[]): Date {
  return new Date(Math.max(...backups.map(({ snapshotTime }) => snapshotTime.getTime())) + 3_600_000)
}
