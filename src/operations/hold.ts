/** hold and release: a signed, numbered event that keeps a backup from every removal, or lets it go again. */
import { CoffreError } from '../errors.ts'
import type { HoldEvent } from '../model/retention/hold.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { readHolds, writeHold } from '../repository/holds.ts'
import { assertOperator } from '../repository/operator-signed.ts'
import type { Repository } from '../repository/repository.ts'
import type { Context } from './context.ts'
import { findBackup } from './find-backup.ts'

export interface HoldRequest {
  readonly repository: Repository
  /** A backup id or `latest`. */
  readonly id: string
  readonly source: string | undefined
  readonly event: HoldEvent['event']
  readonly reason: string
  readonly signingKey: SigningKey
}

export interface HoldResult {
  readonly id: string
  readonly source: string
  readonly held: boolean
  readonly number: number
  readonly reason: string
  readonly at: string
}

/** Throws ERR_NO_BACKUP; ERR_USAGE when a backup that is not held is released; ERR_PIN. */
export async function hold(context: Context, request: HoldRequest): Promise<HoldResult> {
  const { repository, id, source, event, reason, signingKey } = request
  assertOperator(repository, signingKey)
  const { ref } = await findBackup(repository, { id, source })
  const { held } = await readHolds(repository)
  if (event === 'release' && !held.has(ref.id)) {
    throw new CoffreError('ERR_USAGE', `${ref.id} is not held`, { hint: 'coffre list shows which are' })
  }
  const { number, at } = await writeHold(repository, ref, { event, reason }, signingKey, context.now())
  return { id: ref.id, source: ref.source, held: event === 'hold', number, reason, at }
}
