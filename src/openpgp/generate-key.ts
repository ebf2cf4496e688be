/**
 * Makes OpenPGP keys that GnuPG 2.2 and everything since can import: version 4, Ed25519 and Cv25519 under their
 * legacy ids, or RSA 4096. Where the secret is kept, and who sees the passphrase, is up to the caller.
 */
import { enums, generateKey as generate, readKey } from 'openpgp'
import { CoffreError } from '../errors.ts'
import { fingerprint } from './key-file.ts'

export interface KeyRequest {
  readonly name: string
  readonly email: string
  readonly kind: 'ed25519' | 'rsa4096'
  /** `encrypt`: a recipient, with an encryption subkey. `sign`: no encryption subkey. */
  readonly use: 'encrypt' | 'sign'
  /** Days until the key expires; undefined: never. */
  readonly validDays: number | undefined
  readonly passphrase: Buffer | undefined
  readonly now: Date
}

export interface GeneratedKey {
  readonly fingerprint: string
  /** All three armored. */
  readonly publicKey: string
  readonly secretKey: string
  readonly revocation: string
}

/** What a user id is put together with, and what a terminal would act on. */
const unfitForNames = /[<>()\p{Cc}]/u

/** As many rounds over the passphrase as the format can say (about 65 million octets hashed). */
export const mostS2kRounds = 255

/** A new key pair and its revocation certificate. Throws ERR_USAGE for a name, an e-mail or a passphrase that will not do. */
export async function generateKey(request: KeyRequest): Promise<GeneratedKey> {
  const { name, email, passphrase } = request
  if (name.trim() === '' || unfitForNames.test(name)) throw unfit('name', name)
  if (unfitForNames.test(email) || !/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email))
    throw unfit('e-mail address', email)
  // The library would take an empty passphrase for none and write the secret in the clear.
  if (passphrase?.length === 0) throw new CoffreError('ERR_USAGE', 'the passphrase for the new key is empty')
  const made = await generate({
    ...(request.kind === 'rsa4096'
      ? { type: 'rsa', rsaBits: 4096 }
      : { type: 'ecc', curve: 'ed25519Legacy' }),
    userIDs: [{ name, email }],
    ...(passphrase === undefined ? {} : { passphrase: passphrase.toString('utf8') }),
    keyExpirationTime: (request.validDays ?? 0) * 86_400,
    date: request.now,
    subkeys: request.use === 'encrypt' ? [{}] : [],
    format: 'armored',
    config: {
      v6Keys: false,
      aeadProtect: false,
      s2kType: enums.s2k.iterated,
      s2kIterationCountByte: mostS2kRounds,
      preferredHashAlgorithm: enums.hash.sha512,
    },
  }).catch((error: unknown) => {
    throw new CoffreError('ERR_USAGE', `no key can be made for ${name} <${email}>`, { cause: error })
  })
  return {
    fingerprint: fingerprint(await readKey({ armoredKey: made.publicKey })),
    publicKey: made.publicKey,
    secretKey: made.privateKey,
    revocation: made.revocationCertificate,
  }
}

function unfit(what: string, value: string): CoffreError {
  return new CoffreError('ERR_USAGE', `${JSON.stringify(value)} will not do as the ${what} of a key`)
}
