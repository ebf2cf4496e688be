/**
 * The pruner's ledger in the repository: a chain of signed entries. A number that somebody else occupied is skipped and
 * reported; an entry that is missing from the chain is an error, as backups would look newer than they are.
 */
import { CoffreError } from '../errors.ts'
import { parseLedgerEntry, type LedgerEntry } from '../model/retention/ledger.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { ledgerFolder, ledgerKey, ledgerNumber } from './layout.ts'
import { readOperatorSigned, writeOperatorSigned } from './operator-signed.ts'
import type { Repository } from './repository.ts'

export interface Ledger {
  readonly entries: readonly LedgerEntry[]
  /** SHA-256 of the last entry; null where there is none. */
  readonly head: string | null
  readonly nextNumber: number
  /** What lies there and is no operator's. */
  readonly ignored: readonly CoffreError[]
}

/** Throws ERR_SIGNATURE when the chain has a gap. */
export async function readLedger(repository: Repository): Promise<Ledger> {
  const entries: LedgerEntry[] = []
  const ignored: CoffreError[] = []
  let head: string | null = null
  let last = 0
  for await (const { key } of repository.store.list(ledgerFolder)) {
    const number = ledgerNumber(key)
    if (number === undefined) continue
    last = Math.max(last, number)
    if (key.endsWith('.asc')) continue
    try {
      const { value, sha256 } = await readOperatorSigned(repository, key, parseLedgerEntry)
      if (value.number !== number)
        throw new CoffreError('ERR_SIGNATURE', `${key} is another entry, moved here`)
      assertFollows(key, value, head)
      entries.push(value)
      head = sha256
    } catch (error) {
      if (!(error instanceof CoffreError) || error.exitStatus !== 8 || error instanceof BrokenChain)
        throw error
      ignored.push(error)
    }
  }
  return { entries, head, nextNumber: last + 1, ignored }
}

/** An entry that is signed as it should be, and does not follow the one before it. */
class BrokenChain extends CoffreError {}

function assertFollows(key: string, { previous }: LedgerEntry, head: string | null): void {
  if (previous === head) return
  throw new BrokenChain('ERR_SIGNATURE', `${key} does not follow the entry before it: the ledger has a gap`, {
    hint: 'somebody took an entry away: bring it back from the bucket’s older versions or a copy before anything is pruned',
  })
}

/** Throws ERR_LEASE_HELD when another run wrote meanwhile. */
export async function writeLedger(
  repository: Repository,
  { head, nextNumber }: Ledger,
  news: Pick<LedgerEntry, 'seen' | 'removed'>,
  key: SigningKey,
  now: Date,
): Promise<void> {
  const entry: LedgerEntry = {
    type: 'coffre-ledger',
    format: 1,
    repository: repository.id,
    number: nextNumber,
    previous: head,
    keyring: repository.trust.current.version,
    at: now.toISOString(),
    ...news,
  }
  try {
    await writeOperatorSigned(repository, ledgerKey(nextNumber), entry, key, now)
  } catch (cause) {
    if (!(cause instanceof CoffreError) || cause.code !== 'ERR_EXISTS') throw cause
    throw new CoffreError('ERR_LEASE_HELD', 'another prune wrote to the ledger meanwhile', { cause })
  }
}
