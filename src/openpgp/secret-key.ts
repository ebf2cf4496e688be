/**
 * Secret keys once they are read: a SigningKey signs what this machine vouches for, an Identity opens session keys.
 * The secret itself is kept beside the object and not in it, so that neither a log nor JSON can show it.
 */
import { PrivateKey, SecretKeyPacket, SecretSubkeyPacket } from 'openpgp'
import { CoffreError } from '../errors.ts'
import { fingerprint, nameOf, readOneKey, whyNotForSigning } from './key-file.ts'

export interface SigningKey {
  /** The primary key's fingerprint: 40 upper-case hexadecimal digits. */
  readonly fingerprint: string
  /** Its public half, armored. */
  readonly publicKey: string
}

export interface Identity {
  /** The primary key's fingerprint, 40 upper-case hexadecimal digits; where gpg holds several, all of them. */
  readonly fingerprint: string
  /** The fingerprint of every subkey that can open a session key. */
  readonly subkeys: readonly string[]
  /** The last 16 digits of each of `subkeys`. */
  readonly keyIds: readonly string[]
  /** Where the secret is not here (gpg's agent holds it): opens PKESK packets labelled for one of `keyIds`. */
  readonly unwrapElsewhere?: (packets: Buffer) => Promise<Buffer>
}

const secrets = new WeakMap<SigningKey | Identity, PrivateKey>()

/** The unlocked secret behind an object made here. */
export function secretOf(holder: SigningKey | Identity): PrivateKey {
  const secret = secrets.get(holder)
  if (secret === undefined) throw new CoffreError('ERR_INTERNAL', 'this key object has no secret behind it')
  return secret
}

/** Reads an unprotected secret key that can sign. Throws ERR_KEY, by name, for anything else. */
export async function readSigningKey(bytes: Uint8Array): Promise<SigningKey> {
  const key = await readSecretKey(bytes)
  if (isLocked(key)) {
    throw new CoffreError(
      'ERR_KEY',
      `the signing ${nameOf(key)} is protected by a passphrase, which nobody types here`,
      {
        hint: 'make a signing key for this machine alone, without a passphrase, readable by its user only',
      },
    )
  }
  const signer = await key.getSigningKey(undefined, null).catch((error: unknown) => {
    throw new CoffreError('ERR_KEY', `${nameOf(key)} cannot sign`, { cause: error })
  })
  if (!holdsSecret(signer.keyPacket)) {
    throw new CoffreError('ERR_KEY', `the secret of ${nameOf(key)} that signs is not in this file`)
  }
  const weakness = whyNotForSigning(signer.getAlgorithmInfo())
  if (weakness !== undefined) throw new CoffreError('ERR_KEY', `${nameOf(key)} ${weakness}`)
  const signingKey = { fingerprint: fingerprint(key), publicKey: key.toPublic().armor() }
  secrets.set(signingKey, key)
  return signingKey
}

/**
 * Reads and unlocks a secret key as `gpg --export-secret-keys` or `--export-secret-subkeys` writes it. An expired or
 * revoked one still opens what was sealed to it. Throws ERR_NO_IDENTITY if the passphrase is missing or wrong, and
 * ERR_KEY for what is no secret key.
 */
export async function readIdentity(bytes: Uint8Array, passphrase: Buffer | undefined): Promise<Identity> {
  const key = await readSecretKey(bytes)
  await unlock(key, passphrase)
  const opening = await key.getDecryptionKeys(undefined, null).catch(() => [])
  const subkeys = opening.filter((one) => holdsSecret(one.keyPacket)).map((one) => fingerprint(one))
  if (subkeys.length === 0) {
    throw new CoffreError(
      'ERR_NO_IDENTITY',
      `${nameOf(key)} holds no secret encryption subkey in this file`,
      {
        hint: 'export the key with its subkeys, from where they are: gpg --armor --export-secret-keys FINGERPRINT',
      },
    )
  }
  const identity = { fingerprint: fingerprint(key), subkeys, keyIds: subkeys.map((one) => one.slice(-16)) }
  secrets.set(identity, key)
  return identity
}

/** Whether a secret key asks for a passphrase. Throws ERR_KEY for what is no secret key. */
export async function isProtected(bytes: Uint8Array): Promise<boolean> {
  return isLocked(await readSecretKey(bytes))
}

async function readSecretKey(bytes: Uint8Array): Promise<PrivateKey> {
  const key = await readOneKey(bytes)
  if (key instanceof PrivateKey) return key
  throw new CoffreError('ERR_KEY', `${nameOf(key)} is a public key; the secret key is wanted`, {
    hint: 'gpg --armor --export-secret-keys FINGERPRINT writes it',
  })
}

type SecretPacket = SecretKeyPacket | SecretSubkeyPacket

/** The packets whose secret is in the file: an offline primary key leaves an empty one, and so does a smart card. */
function secretPackets(key: PrivateKey): readonly SecretPacket[] {
  const packets: readonly unknown[] = key.getKeys().map((part) => part.keyPacket)
  return packets.filter(isSecretPacket).filter((packet) => !packet.isMissingSecretKeyMaterial())
}

function holdsSecret(packet: unknown): boolean {
  return isSecretPacket(packet) && packet.isDecrypted()
}

function isSecretPacket(packet: unknown): packet is SecretPacket {
  return packet instanceof SecretKeyPacket || packet instanceof SecretSubkeyPacket
}

function isLocked(key: PrivateKey): boolean {
  return secretPackets(key).some((packet) => !packet.isDecrypted())
}

async function unlock(key: PrivateKey, passphrase: Buffer | undefined): Promise<void> {
  if (!isLocked(key)) return
  if (passphrase === undefined) {
    throw new CoffreError('ERR_NO_IDENTITY', `${nameOf(key)} is protected and no passphrase was given`, {
      hint: 'give its passphrase: coffre asks for it on a terminal, or reads it with --passphrase-file',
    })
  }
  // The library takes text only; the copy it makes cannot be wiped.
  const text = passphrase.toString('utf8')
  for (const packet of secretPackets(key)) {
    if (packet.isDecrypted()) continue
    try {
      await packet.decrypt(text)
      // The passphrase does not authenticate the public numbers: they must fit the secret ones.
      await packet.validate()
    } catch (error) {
      throw notUnlocked(key, error)
    }
  }
}

function notUnlocked(key: PrivateKey, error: unknown): CoffreError {
  const reason = error instanceof Error ? error.message : String(error)
  if (reason.startsWith('Incorrect key passphrase')) {
    return new CoffreError('ERR_NO_IDENTITY', `the passphrase is wrong for ${nameOf(key)}`, {
      hint: 'check the passphrase, and that it belongs to this key',
      cause: error,
    })
  }
  return new CoffreError('ERR_NO_IDENTITY', `${nameOf(key)} cannot be unlocked: ${reason}`, {
    hint: 'export it again with gpg --armor --export-secret-keys',
    cause: error,
  })
}
