/**
 * What a retention plan is made of: every backup there is, when it was first seen, what is held and what is proven. Reads
 * only.
 */
import type { CoffreError } from '../errors.ts'
import { doubtsOf } from '../model/retention/first-sight.ts'
import type { HoldEvent } from '../model/retention/hold.ts'
import { remember, type Memory, type SeenBackup } from '../model/retention/ledger.ts'
import type { RetainedBackup } from '../model/retention/plan-retention.ts'
import { readHolds } from '../repository/holds.ts'
import { readLedger, type Ledger } from '../repository/ledger.ts'
import { isBroken, type Backup, type Repository } from '../repository/repository.ts'

export interface RetentionFacts {
  /** All that can be believed. */
  readonly backups: readonly RetainedBackup[]
  /** Manifests that cannot be believed, or are no longer those that were first seen: they are left alone. */
  readonly unbelievable: readonly { readonly source: string; readonly id: string; readonly why: string }[]
  readonly ledger: Ledger
  /** What the ledger knows together with what is seen now. */
  readonly memory: Memory
  /** Seen for the first time: what the next entry of the ledger will say. */
  readonly news: readonly SeenBackup[]
  readonly held: ReadonlyMap<string, HoldEvent>
  /** Holds and ledger entries that are no operator's. */
  readonly ignored: readonly CoffreError[]
}

export async function retentionFacts(
  repository: Repository,
  now: Date,
  seenWithinMs: number,
  isProven: (backup: Backup) => boolean,
): Promise<RetentionFacts> {
  const [ledger, { held, ignored }] = [await readLedger(repository), await readHolds(repository)]
  const known = remember(ledger.entries)
  const found = await repository.readAll(undefined)
  const unbelievable: { source: string; id: string; why: string }[] = []
  const believed: Backup[] = []
  for (const backup of found) {
    const { source, id } = backup.ref
    const seenAs = known.sightings.get(id)?.manifestSha256
    if (isBroken(backup)) unbelievable.push({ source, id, why: backup.error.message })
    else if (seenAs !== undefined && seenAs !== backup.manifestSha256)
      unbelievable.push({ source, id, why: 'its manifest is not the one that was first seen' })
    else believed.push(backup)
  }
  const news = believed.filter(({ ref }) => !known.sightings.has(ref.id)).map(seen)
  const memory = remember([...ledger.entries, { at: now.toISOString(), seen: [...news], removed: [] }])
  const doubts = doubtsOf([...memory.sightings.values()], seenWithinMs)
  const backups = believed.map(
    (backup): RetainedBackup => ({
      source: backup.ref.source,
      systemIdentifier: backup.manifest.systemIdentifier,
      id: backup.ref.id,
      sequence: backup.manifest.sequence,
      snapshotTime: new Date(backup.manifest.snapshotTime),
      doubt: doubts.get(backup.ref.id),
      proven: isProven(backup),
      held: held.get(backup.ref.id)?.reason,
      lockedUntil: undefined,
    }),
  )
  return { backups, unbelievable, ledger, memory, news, held, ignored: [...ledger.ignored, ...ignored] }
}

function seen({ ref, manifest, manifestSha256 }: Backup): SeenBackup {
  const { systemIdentifier, sequence, snapshotTime } = manifest
  return { source: ref.source, backup: ref.id, manifestSha256, systemIdentifier, sequence, snapshotTime }
}
