/**
 * Which backups may take a place in the retention, judged by when the pruner first saw them. Whoever can append, even with
 * the host's signing key, can date a manifest as he likes; he cannot make the pruner have seen it earlier. So a backup is
 * doubted that is dated before one already seen, out of sequence, or far from when it was first seen. What is doubted
 * takes no place, pushes nothing out, and is never removed by itself: a person is told.
 */

export interface FirstSight {
  /** The pruner's own clock, as its signed ledger has it. */
  readonly at: Date
  /** When the pruner had last seen something new of this source before that; null: never, all of this is where it began. */
  readonly before: Date | null
}

/** A backup as it was when first seen; remembered in the ledger, also when the backup is long gone. */
export interface Sighting {
  readonly source: string
  readonly systemIdentifier: string
  readonly id: string
  readonly sequence: number
  readonly snapshotTime: Date
  readonly firstSeen: FirstSight
}

/** Clocks of a host and of the pruner may be this far apart. */
export const clockToleranceMs = 5 * 60_000

/**
 * The doubted ones by id, with the reason, of all that was ever seen: what was removed since still bears witness.
 * `seenWithinMs`: how long after its snapshot a backup may be seen first, where the pruner looked in between.
 */
export function doubtsOf(sightings: readonly Sighting[], seenWithinMs: number): ReadonlyMap<string, string> {
  const doubts = new Map<string, string>()
  for (const scope of Map.groupBy(sightings, scopeOf).values()) {
    let before: Sighting | undefined
    for (const sighting of scope.toSorted(bySight)) {
      const doubt = doubtOf(sighting, before, seenWithinMs)
      // A doubted one is no measure for those that follow: one night with a wrong clock must not taint the years after it.
      if (doubt === undefined) before = sighting
      else doubts.set(sighting.id, doubt)
    }
  }
  return doubts
}

/** One source on one server: only such backups follow each other. */
export function scopeOf(backup: { readonly source: string; readonly systemIdentifier: string }): string {
  return `${backup.source} ${backup.systemIdentifier}`
}

function bySight(a: Sighting, b: Sighting): number {
  return (
    a.firstSeen.at.getTime() - b.firstSeen.at.getTime() ||
    a.sequence - b.sequence ||
    a.snapshotTime.getTime() - b.snapshotTime.getTime() ||
    (a.id < b.id ? -1 : 1)
  )
}

function doubtOf(
  { snapshotTime, sequence, firstSeen }: Sighting,
  before: Sighting | undefined,
  seenWithinMs: number,
): string | undefined {
  const dated = snapshotTime.getTime()
  if (dated > firstSeen.at.getTime() + clockToleranceMs)
    return `dated after it was first seen, on ${firstSeen.at.toISOString()}`
  // The pruner looked meanwhile and it was not there. Where the pruner itself was away, lateness says nothing.
  if (firstSeen.before !== null && dated < firstSeen.before.getTime() - seenWithinMs)
    return `dated ${snapshotTime.toISOString()}, but first seen on ${firstSeen.at.toISOString()}`
  if (before === undefined) return undefined
  if (sequence <= before.sequence)
    return `out of sequence: number ${sequence} was first seen after number ${before.sequence}`
  if (dated < before.snapshotTime.getTime())
    return `dated before number ${before.sequence}, which was seen before it`
  return undefined
}
