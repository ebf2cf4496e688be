/** A secret key under another passphrase, as GnuPG 2.2 and everything since imports it. Its numbers stay what they are. */
import { encryptKey, enums } from 'openpgp'
import { CoffreError } from '../errors.ts'
import { mostS2kRounds } from './generate-key.ts'
import { readIdentity, secretOf } from './secret-key.ts'

export interface ProtectedKey {
  readonly fingerprint: string
  /** Both armored. */
  readonly publicKey: string
  readonly secretKey: string
}

/** Throws ERR_NO_IDENTITY where it cannot be unlocked with `passphrase`, ERR_KEY for a key that is not all in the file. */
export async function protectAgain(
  bytes: Uint8Array,
  passphrase: Buffer | undefined,
  next: Buffer,
): Promise<ProtectedKey> {
  const identity = await readIdentity(bytes, passphrase)
  const key = secretOf(identity)
  const made = await encryptKey({
    privateKey: key,
    // The library takes text only; the copy it makes cannot be wiped.
    passphrase: next.toString('utf8'),
    config: { aeadProtect: false, s2kType: enums.s2k.iterated, s2kIterationCountByte: mostS2kRounds },
  }).catch((cause: unknown) => {
    throw new CoffreError('ERR_KEY', `key ${identity.fingerprint} cannot be given another passphrase`, {
      cause,
      hint: 'the file must hold the whole key, its primary too: gpg --armor --export-secret-keys FINGERPRINT',
    })
  })
  return { fingerprint: identity.fingerprint, publicKey: key.toPublic().armor(), secretKey: made.armor() }
}
