/**
 * Whom a new backup is sealed to and who signs it: the keyring in force, held against the configuration's pins. The two
 * must agree, so that neither a stolen configuration nor a forged keyring alone can add a reader.
 */
import { CoffreError } from '../errors.ts'
import { manifestSigners, pinDifferences } from '../model/keyring.ts'
import { readRecipient, type Recipient, type SigningKey } from '../openpgp/keys.ts'
import { newSessionKey, wrapSessionKey } from '../openpgp/envelope.ts'
import type { SealKey } from '../pipeline/seal.ts'
import type { Repository } from '../repository/repository.ts'
import type { Context } from './context.ts'

export interface SealingKeys {
  readonly recipients: readonly Recipient[]
  readonly signingKey: SigningKey
}

export interface SealingKeysRequest {
  readonly repository: Repository
  readonly source: string
  readonly signingKey: SigningKey
  /** Full fingerprints. */
  readonly pins: readonly string[]
  readonly onExpired: 'continue' | 'refuse'
}

/** Throws ERR_PIN where keyring and configuration disagree, ERR_KEY for a key that cannot be used. */
export async function sealingKeys(context: Context, request: SealingKeysRequest): Promise<SealingKeys> {
  const { current: keyring, broken } = request.repository.trust
  if (broken[0] !== undefined) throw broken[0]
  const [difference] = pinDifferences(request.pins, keyring)
  if (difference !== undefined) {
    const named = keyring.recipients.map(({ fingerprint }) => fingerprint).join(', ')
    throw new CoffreError('ERR_PIN', `keyring ${keyring.version}: ${difference}`, {
      hint: `if you trust the keyring, name exactly its readers under recipients: ${named}; others need a new keyring, signed by the root`,
    })
  }
  if (
    !manifestSigners(keyring, request.source).some(
      ({ fingerprint }) => fingerprint === request.signingKey.fingerprint,
    )
  ) {
    throw new CoffreError(
      'ERR_PIN',
      `keyring ${keyring.version} does not let ${request.signingKey.fingerprint} sign for ${request.source}`,
    )
  }
  const now = context.now()
  const expired = request.onExpired === 'refuse' ? 'refuse' : 'accept'
  const recipients = await Promise.all(
    keyring.recipients.map(({ publicKey }) => readRecipient(Buffer.from(publicKey), { now, expired })),
  )
  for (const [index, recipient] of recipients.entries()) {
    const named = keyring.recipients[index]
    if (named?.fingerprint !== recipient.fingerprint || named.subkey !== recipient.subkey) {
      throw new CoffreError(
        'ERR_PIN',
        `keyring ${keyring.version} holds another key than the ${named?.fingerprint ?? 'one'} it names`,
      )
    }
  }
  const warnings = recipients
    .filter(({ expiresAt }) => expiresAt !== undefined && expiresAt <= now)
    .map(
      ({ fingerprint, expiresAt }) =>
        `the recipient ${fingerprint} expired on ${expiresAt?.toISOString().slice(0, 10) ?? ''}`,
    )
  for (const message of warnings)
    context.emit({ type: 'warning', message, hint: 'backups go on, sealed to it; make a new key soon' })
  return { recipients, signingKey: request.signingKey }
}

/** A fresh session key, wrapped to all recipients: one for every artifact of every attempt. */
export async function newSealKey(recipients: readonly Recipient[]): Promise<SealKey> {
  const sessionKey = newSessionKey()
  return { sessionKey, envelope: await wrapSessionKey(sessionKey, recipients) }
}
