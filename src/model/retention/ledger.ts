/**
 * One entry of the pruner's ledger: which backups it saw for the first time, and which it is about to remove. Entries are
 * numbered, signed by an operator, and each names the one before it by its SHA-256.
 */
import { z } from 'zod'
import { CoffreError } from '../../errors.ts'
import { backupIdPattern, type BackupId } from '../backup-id.ts'
import { decodeJson } from '../canonical-json.ts'
import { sourceNamePattern } from '../manifest.ts'
import type { Sighting } from './first-sight.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const source = z.string().regex(sourceNamePattern)
const backup = z
  .string()
  .regex(backupIdPattern)
  .transform((id) => id as BackupId)
const seenBackup = z.strictObject({
  source,
  backup,
  manifestSha256: sha256,
  systemIdentifier: z.string().regex(/^\d{1,20}$/),
  sequence: z.number().int().positive(),
  snapshotTime: z.iso.datetime(),
})

const ledgerSchema = z.strictObject({
  type: z.literal('coffre-ledger'),
  format: z.literal(1),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  number: z.number().int().positive(),
  /** SHA-256 of the entry before; null for the first. */
  previous: sha256.nullable(),
  keyring: z.number().int().positive(),
  at: z.iso.datetime(),
  seen: z.array(seenBackup),
  /** Decided, and written before the first of them is touched: a run that was killed is finished by the next. */
  removed: z.array(z.strictObject({ source, backup })),
})
export type LedgerEntry = z.infer<typeof ledgerSchema>
export type SeenBackup = LedgerEntry['seen'][number]

/** Parses bytes whose signature was checked. Throws ERR_FORMAT. */
export function parseLedgerEntry(bytes: Buffer): LedgerEntry {
  const parsed = ledgerSchema.safeParse(decodeJson(bytes, 'the ledger'))
  if (parsed.success) return parsed.data
  throw new CoffreError('ERR_FORMAT', `the ledger does not follow format 1: ${z.prettifyError(parsed.error)}`)
}

/** What a ledger knows, all its entries taken together. */
export interface Memory {
  /** By id: of what was ever seen, as it was then. */
  readonly sightings: ReadonlyMap<string, Sighting & { readonly manifestSha256: string }>
  /** Ids whose removal coffre decided. */
  readonly removed: ReadonlySet<string>
  /** By source: when something new of it was last seen. */
  readonly lastSeen: ReadonlyMap<string, Date>
}

/** `entries`: in their order. A backup's first sight is its only one. */
export function remember(entries: readonly Pick<LedgerEntry, 'at' | 'seen' | 'removed'>[]): Memory {
  const sightings = new Map<string, Sighting & { readonly manifestSha256: string }>()
  const removed = new Set<string>()
  const lastSeen = new Map<string, Date>()
  for (const entry of entries) {
    const at = new Date(entry.at)
    const before = new Map(lastSeen)
    for (const { backup: id, snapshotTime, ...facts } of entry.seen) {
      if (sightings.has(id)) continue
      const firstSeen = { at, before: before.get(facts.source) ?? null }
      sightings.set(id, { ...facts, id, snapshotTime: new Date(snapshotTime), firstSeen })
      lastSeen.set(facts.source, at)
    }
    for (const { backup: id } of entry.removed) removed.add(id)
  }
  return { sightings, removed, lastSeen }
}
