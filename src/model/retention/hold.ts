/**
 * A hold keeps a backup whatever the retention says, until it is released. Both are events, numbered for each backup,
 * signed by an operator; the one with the highest number counts.
 */
import { z } from 'zod'
import { CoffreError } from '../../errors.ts'
import { backupIdPattern } from '../backup-id.ts'
import { decodeJson } from '../canonical-json.ts'
import { sourceNamePattern } from '../manifest.ts'

const holdSchema = z.strictObject({
  type: z.literal('coffre-hold'),
  format: z.literal(1),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  source: z.string().regex(sourceNamePattern),
  backup: z.string().regex(backupIdPattern),
  number: z.number().int().positive(),
  keyring: z.number().int().positive(),
  event: z.enum(['hold', 'release']),
  /** Clear text: whoever reads the bucket reads it. */
  reason: z.string().min(1).max(500),
  at: z.iso.datetime(),
})
export type HoldEvent = z.infer<typeof holdSchema>

/** Parses bytes whose signature was checked. Throws ERR_FORMAT. */
export function parseHoldEvent(bytes: Buffer): HoldEvent {
  const parsed = holdSchema.safeParse(decodeJson(bytes, 'the hold'))
  if (parsed.success) return parsed.data
  throw new CoffreError('ERR_FORMAT', `the hold does not follow format 1: ${z.prettifyError(parsed.error)}`)
}
