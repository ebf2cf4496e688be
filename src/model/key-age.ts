/** How long a recipient's key still serves, and from when somebody must hear of it. Pure: the clock is the caller's. */

const dayMs = 86_400_000
/** A key is made for 13 months and replaced after 12. */
const rotationMonths = 12
/** Each of them says it more urgently; the last one that was passed counts. */
const aheadDays = [60, 30, 7] as const

export interface KeyAge {
  readonly createdAt: Date
  /** Undefined: never. */
  readonly expiresAt: Date | undefined
}

/** What is to be done about a key that new backups are sealed to, in words; undefined: nothing yet. */
export function keyWarning({ createdAt, expiresAt }: KeyAge, now: Date): string | undefined {
  if (expiresAt !== undefined && expiresAt <= now) return `expired on ${dayOf(expiresAt)}`
  const leftDays = expiresAt === undefined ? Infinity : (expiresAt.getTime() - now.getTime()) / dayMs
  const within = aheadDays.findLast((days) => leftDays <= days)
  if (expiresAt !== undefined && within !== undefined)
    return `expires on ${dayOf(expiresAt)}, within ${within} days`
  const dueAt = new Date(createdAt)
  dueAt.setUTCMonth(dueAt.getUTCMonth() + rotationMonths)
  return dueAt <= now ? `is to be replaced since ${dayOf(dueAt)}, ${rotationMonths} months old` : undefined
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}
