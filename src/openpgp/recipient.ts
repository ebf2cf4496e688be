/**
 * Who can read backups: public keys, read once and judged before anything is sealed to them. A Recipient is plain
 * data, so it can cross threads and be made again from its armored text. The clock is the caller's.
 */
import { config } from 'openpgp'
import type { Key, Subkey } from 'openpgp'
import { CoffreError } from '../errors.ts'
import { fingerprint, nameOf, readOneKey, whyNotForEncryption, whyNotForSigning } from './key-file.ts'

export interface Recipient {
  /** The primary key's fingerprint: 40 upper-case hexadecimal digits. */
  readonly fingerprint: string
  /** The encryption subkey's fingerprint; recipients are compared by it. */
  readonly subkey: string
  /** The last 16 digits of `subkey`: the label of its wrapped session keys. */
  readonly keyId: string
  readonly userId: string
  /** When the key or its encryption subkey expires, whichever is first. */
  readonly expiresAt: Date | undefined
  /** The whole public key, armored. */
  readonly publicKey: string
}

/** Later than any signature: a revocation counts from the moment it is seen, whatever its date. */
export const endOfTime = new Date('9999-12-31T00:00:00Z')

/** Lengths are judged by coffre's own rule, whose messages name the key and the length. */
const anyLength = { ...config, minRSABits: 0 }

/**
 * The recipient whose public key `bytes` hold, with the newest encryption subkey that is valid at `now`. Throws
 * ERR_KEY, by name, for a secret key, a revoked one, one without a subkey coffre can encrypt to, RSA under 3072
 * bits, algorithms GnuPG 2.2 does not know, and (with `expired: 'refuse'`) an expired one.
 */
export async function readRecipient(
  bytes: Uint8Array,
  options: { readonly now: Date; readonly expired: 'accept' | 'refuse' },
): Promise<Recipient> {
  const key = await readOneKey(bytes)
  if (key.isPrivate()) {
    throw refused(
      key,
      'is a secret key; a recipient is a public key',
      'never put a secret key on this machine: export the public key with gpg --armor --export',
    )
  }
  const weakness = whyNotForSigning(key.getAlgorithmInfo())
  if (weakness !== undefined) throw refused(key, weakness, newKeyHint)
  if (await key.isRevoked(undefined, undefined, endOfTime)) {
    throw refused(key, 'is revoked', 'ask its owner for the key that replaces it')
  }
  const subkey = await encryptionSubkey(key, options.now)
  const expiresAt = earliest(await key.getExpirationTime(), await subkey.getExpirationTime(options.now))
  if (expiresAt !== undefined && expiresAt <= options.now && options.expired === 'refuse') {
    const day = expiresAt.toISOString().slice(0, 10)
    throw refused(
      key,
      `expired on ${day}`,
      'ask its owner to extend it (gpg --quick-set-expire) and to send it again',
    )
  }
  return {
    fingerprint: fingerprint(key),
    subkey: fingerprint(subkey),
    keyId: fingerprint(subkey).slice(-16),
    userId: await primaryUserId(key, options.now),
    expiresAt,
    publicKey: key.armor(),
  }
}

/** When its primary key was made. Throws ERR_KEY. */
export async function recipientCreatedAt(bytes: Uint8Array): Promise<Date> {
  return (await readOneKey(bytes)).getCreationTime()
}

const newKeyHint = 'ask its owner for an Ed25519 and Cv25519 key, which gpg 2.2 and later make and read'

function refused(key: Key, reason: string, hint: string): CoffreError {
  return new CoffreError('ERR_KEY', `${nameOf(key)} ${reason}`, { hint })
}

async function encryptionSubkey(key: Key, now: Date): Promise<Subkey> {
  const valid = await usableSubkeys(key, now)
  const evenExpired = await usableSubkeys(key, null)
  const subkey = [...valid, ...evenExpired].find(
    (one) => whyNotForEncryption(one.getAlgorithmInfo()) === undefined,
  )
  if (subkey !== undefined) return subkey
  const [refusedSubkey] = evenExpired
  if (refusedSubkey !== undefined) {
    const reason = whyNotForEncryption(refusedSubkey.getAlgorithmInfo())
    throw refused(key, `has an encryption subkey that ${reason}`, newKeyHint)
  }
  if (key.subkeys.some((one) => one.revocationSignatures.length > 0)) {
    throw refused(
      key,
      'has no encryption subkey left: it is revoked',
      'ask its owner for the key with a new subkey',
    )
  }
  throw refused(
    key,
    'has no encryption subkey',
    'ask its owner to add one: gpg --quick-add-key FINGERPRINT cv25519 encr',
  )
}

/** The subkeys that may encrypt at `date` (null: whenever), newest first. */
async function usableSubkeys(key: Key, date: Date | null): Promise<readonly Subkey[]> {
  const usable: Subkey[] = []
  for (const subkey of key.subkeys) {
    const found = await key
      .getEncryptionKey(subkey.getKeyID(), date, undefined, anyLength)
      .catch(() => undefined)
    if (found === subkey) usable.push(subkey)
  }
  return usable.sort((a, b) => b.getCreationTime().getTime() - a.getCreationTime().getTime())
}

type Expiry = Date | typeof Infinity | null

function earliest(first: Expiry, second: Expiry): Date | undefined {
  const dates = [first, second].filter((one) => one instanceof Date)
  return dates.sort((a, b) => a.getTime() - b.getTime())[0]
}

async function primaryUserId(key: Key, now: Date): Promise<string> {
  const { user } = await key.getPrimaryUser(now).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    throw new CoffreError('ERR_KEY', `${nameOf(key)} has no valid user id: ${reason}`, { cause: error })
  })
  return (user.userID?.userID ?? '').replaceAll(/\p{Cc}/gu, '\u{FFFD}')
}
