/**
 * keys list: every key that some keyring names as a reader, until when it serves, and which of the backups there are it
 * opens. Needs no identity, and says what the keyrings say: only opening proves.
 */
import { asCoffreError } from '../errors.ts'
import { keyWarning } from '../model/key-age.ts'
import { readRecipient, recipientCreatedAt } from '../openpgp/keys.ts'
import { isBroken, type Repository } from '../repository/repository.ts'
import type { Context } from './context.ts'

export interface ListedKey {
  readonly fingerprint: string
  readonly userId: string | null
  /** Whether new backups are sealed to it. */
  readonly inForce: boolean
  readonly createdAt: string | null
  /** Null: never. */
  readonly expiresAt: string | null
  /** The backups sealed to it, oldest first. */
  readonly opens: readonly string[]
  /** What is to be done about it; null for nothing, and for a key that is no longer in force. */
  readonly warning: string | null
}

export interface ListKeysResult {
  /** The keyring in force. */
  readonly keyring: number
  readonly keys: readonly ListedKey[]
}

export async function listKeys({ now }: Context, repository: Repository): Promise<ListKeysResult> {
  const { current, keyrings } = repository.trust
  const found = await repository.readAll(undefined)
  const backups = found.flatMap((backup) => (isBroken(backup) ? [] : [backup]))
  const newestFirst = [...keyrings.values()].toSorted((a, b) => b.version - a.version)
  const keys = new Map<string, ListedKey>()
  for (const { fingerprint, publicKey } of newestFirst.flatMap(({ recipients }) => recipients)) {
    if (keys.has(fingerprint)) continue
    const inForce = current.recipients.some((one) => one.fingerprint === fingerprint)
    const opens = backups
      .filter(({ manifest }) => manifest.recipients.some((one) => one.fingerprint === fingerprint))
      .map(({ ref }) => ref.id)
    const facts = await factsOf(publicKey, now())
    keys.set(fingerprint, { fingerprint, inForce, opens, ...facts, warning: inForce ? facts.warning : null })
  }
  return { keyring: current.version, keys: [...keys.values()] }
}

type Facts = Pick<ListedKey, 'userId' | 'createdAt' | 'expiresAt' | 'warning'>

/** A key that is revoked, or no key at all, is listed with what is wrong. */
async function factsOf(publicKey: string, now: Date): Promise<Facts> {
  try {
    const bytes = Buffer.from(publicKey)
    const { userId, expiresAt } = await readRecipient(bytes, { now, expired: 'accept' })
    const createdAt = await recipientCreatedAt(bytes)
    return {
      userId,
      createdAt: createdAt.toISOString(),
      expiresAt: expiresAt?.toISOString() ?? null,
      warning: keyWarning({ createdAt, expiresAt }, now) ?? null,
    }
  } catch (error) {
    return { userId: null, createdAt: null, expiresAt: null, warning: asCoffreError(error).message }
  }
}
