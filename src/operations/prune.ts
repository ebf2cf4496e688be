/**
 * prune: reads what there is, lets `planRetention` decide, writes its decision into the signed ledger, then acts: manifest
 * first, so that a run that is killed anywhere leaves whole backups and debris, and the next one finishes. What it did
 * not decide to remove it never removes: where a manifest is gone that the ledger knows, somebody else took it, and its
 * artifacts stay.
 */
import { CoffreError } from '../errors.ts'
import { backupTime, parseBackupId } from '../model/backup-id.ts'
import {
  planRetention,
  type Decision,
  type RetentionPlan,
  type RetentionPolicy,
} from '../model/retention/plan-retention.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { writeLedger } from '../repository/ledger.ts'
import { Lease } from '../repository/lease.ts'
import { assertOperator } from '../repository/operator-signed.ts'
import { findDebris, removeBackup, removeObjects, sweepEnvelopes } from '../repository/removal.ts'
import type { Backup, Repository } from '../repository/repository.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { Context } from './context.ts'
import { retentionFacts, type RetentionFacts } from './retention-facts.ts'

export interface PruneRequest {
  readonly repository: Repository
  readonly policy: RetentionPolicy
  readonly dryRun: boolean
  /** Signs the ledger, as an operator; a dry run needs none. */
  readonly signingKey: SigningKey | undefined
  readonly isProven: (backup: Backup) => boolean
}

export interface PruneResult {
  readonly dryRun: boolean
  readonly keep: readonly Decision[]
  readonly remove: readonly Decision[]
  readonly held: readonly {
    readonly source: string
    readonly id: string
    readonly until: string | null
    readonly reason: string
  }[]
  /** Sources of which a guard let nothing go: exit 11. */
  readonly refused: RetentionPlan['refused']
  /** What a person must look at: done, but degraded. */
  readonly alarms: readonly string[]
  readonly removedObjects: number
  readonly removedBytes: number
  /** Multipart uploads and partial files that nobody finished. */
  readonly sweptUploads: number
}

const leaseDurationMs = 5 * 60_000
/** How long after its first sight a backup may be dated, and debris be left alone. */
const seenWithinMs = 7 * 24 * 60 * 60_000
const debrisGraceMs = 24 * 60 * 60_000
/** Longer than any backup takes. */
const uploadGraceMs = 3 * 24 * 60 * 60_000

/** Throws ERR_LEASE_HELD while a backup is being made, ERR_PIN when the key is no operator's. */
export async function prune(context: Context, request: PruneRequest): Promise<PruneResult> {
  const { repository } = request
  const sources = [...new Set((await repository.refs(undefined)).map(({ source }) => source))]
  await using leases = new AsyncDisposableStack()
  const held: Lease[] = []
  if (!request.dryRun) {
    if (request.signingKey === undefined) throw noOperator()
    assertOperator(repository, request.signingKey)
    for (const source of sources) held.push(leases.use(await lease(context, repository, source)))
  }
  const now = context.now()
  const facts = await retentionFacts(repository, now, seenWithinMs, request.isProven)
  const plan = planRetention(facts.backups, request.policy, now)
  const alarms = alarmsOf(facts, plan)
  const done = { objects: 0, bytes: 0, uploads: 0 }
  if (!request.dryRun) {
    await record(context, request, facts, plan)
    const assertHeld = async (): Promise<void> => {
      for (const one of held) await one.assertHeld()
    }
    await act(context, repository, { facts, plan, sources, alarms, done, assertHeld })
  }
  return resultOf(request.dryRun, facts, plan, alarms, done)
}

interface Acting {
  readonly facts: RetentionFacts
  readonly plan: RetentionPlan
  readonly sources: readonly string[]
  readonly alarms: string[]
  readonly done: { objects: number; bytes: number; uploads: number }
  readonly assertHeld: () => Promise<void>
}

/** Before anything is touched. */
async function record(
  context: Context,
  { repository, signingKey }: PruneRequest,
  { ledger, news, memory, backups }: RetentionFacts,
  { remove }: RetentionPlan,
): Promise<void> {
  const leaving = new Set(remove.map(({ id }) => id))
  const removed = backups
    .filter(({ id }) => leaving.has(id) && !memory.removed.has(id))
    .flatMap(({ id }) => {
      const sighting = memory.sightings.get(id)
      return sighting === undefined ? [] : [{ source: sighting.source, backup: parseBackupId(id) }]
    })
  if (signingKey === undefined || (news.length === 0 && removed.length === 0)) return
  await writeLedger(repository, ledger, { seen: [...news], removed }, signingKey, context.now())
}

async function act(context: Context, { store }: Repository, acting: Acting): Promise<void> {
  const { facts, plan, sources, alarms, done, assertHeld } = acting
  const options = { signal: context.signal }
  const add = ({ objects, bytes }: { objects: number; bytes: number }): void => {
    done.objects += objects
    done.bytes += bytes
  }
  const removed = new Set(facts.memory.removed)
  for (const { source, id } of plan.remove) {
    await assertHeld()
    const ref = { source, id: parseBackupId(id) }
    add(await removeBackup(store, ref, options))
    removed.add(id)
  }
  for (const source of sources) {
    for (const [id, objects] of await findDebris(store, source, options)) {
      if (facts.memory.sightings.has(id) && !removed.has(id)) {
        alarms.push(
          `the manifest of ${id} of ${source} is gone, and coffre did not remove it: its artifacts are left`,
        )
        continue
      }
      const young = context.now().getTime() - backupTime(id).getTime() < debrisGraceMs
      if (young && !removed.has(id)) continue
      await assertHeld()
      add(await removeObjects(store, objects, options))
    }
  }
  const kept = new Set(plan.keep.map(({ id }) => id))
  add(await sweepEnvelopes(store, ({ id }) => removed.has(id) && !kept.has(id), options))
  done.uploads = await sweepUploads(context, store, alarms)
}

/** A provider may keep the right to it apart: the rest is done all the same. */
async function sweepUploads(context: Context, store: ObjectStore, alarms: string[]): Promise<number> {
  try {
    const before = new Date(context.now().getTime() - uploadGraceMs)
    return await store.sweepUnfinished(before, { signal: context.signal })
  } catch (error) {
    if (!(error instanceof CoffreError) || error.code !== 'ERR_STORE_DENIED') throw error
    alarms.push(error.message)
    return 0
  }
}

function alarmsOf({ unbelievable, ignored }: RetentionFacts, { doubted }: RetentionPlan): string[] {
  return [
    ...doubted.map(({ source, id, doubt }) => `${id} of ${source} takes no place: ${doubt}`),
    ...unbelievable.map(
      ({ source, id, why }) => `${id} of ${source} cannot be believed and is left alone: ${why}`,
    ),
    ...ignored.map(({ message }) => `ignored: ${message}`),
  ]
}

function resultOf(
  dryRun: boolean,
  facts: RetentionFacts,
  plan: RetentionPlan,
  alarms: readonly string[],
  done: Acting['done'],
): PruneResult {
  const holds = facts.backups.flatMap(({ source, id, held }) =>
    held === undefined ? [] : [{ source, id, until: null, reason: held }],
  )
  const locks = plan.locked.map(({ source, id, until }) => ({
    source,
    id,
    until: until.toISOString(),
    reason: 'locked',
  }))
  const left = facts.unbelievable.map(({ source, id, why }) => ({
    source,
    id,
    reasons: [`left alone: ${why}`],
  }))
  return {
    dryRun,
    keep: [...plan.keep, ...left],
    remove: plan.remove,
    held: [...holds, ...locks],
    refused: plan.refused,
    alarms,
    removedObjects: done.objects,
    removedBytes: done.bytes,
    sweptUploads: done.uploads,
  }
}

async function lease({ holder, now }: Context, { store }: Repository, source: string): Promise<Lease> {
  return await Lease.acquire(store, { source, holder, durationMs: leaseDurationMs, now })
}

function noOperator(): CoffreError {
  return new CoffreError(
    'ERR_CONFIG',
    'prune signs its ledger as an operator, and no operator’s key is configured',
    {
      hint: 'add operator: {key_file: …}; coffre prune --dry-run needs none',
    },
  )
}
