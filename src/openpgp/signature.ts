/**
 * Detached signatures over raw bytes: made for `gpgv`, and checked here as strictly. Promises one signature by one
 * known signer over exactly these bytes, or an error that says which of the three was not so. Which signer may sign
 * what is decided elsewhere.
 */
import { createMessage, enums, readSignature, sign, verify } from 'openpgp'
import type { Key, SignaturePacket } from 'openpgp'
import { CoffreError } from '../errors.ts'
import { fingerprint, nameOf, readOneKey } from './key-file.ts'
import { endOfTime } from './recipient.ts'
import { secretOf } from './secret-key.ts'
import type { SigningKey } from './secret-key.ts'

/** An armored version 4 signature (SHA-512) over `bytes`, dated `now`. Throws ERR_KEY if the key is not valid then. */
export async function signDetached(bytes: Buffer, key: SigningKey, now: Date): Promise<string> {
  return await sign({
    message: await createMessage({ binary: bytes }),
    signingKeys: secretOf(key),
    detached: true,
    date: now,
    format: 'armored',
    config: { preferredHashAlgorithm: enums.hash.sha512 },
  }).catch((error: unknown) => {
    throw new CoffreError('ERR_KEY', `cannot sign with key ${key.fingerprint}: ${reasonOf(error)}`, {
      cause: error,
    })
  })
}

export interface Verified {
  /** The signer's primary key, also when a subkey of it signed. */
  readonly fingerprint: string
  readonly signedAt: Date
}

/**
 * Checks that `armoredSignature` is one signature over `bytes` by one of `publicKeys` (armored) that was valid when
 * it signed; it may have expired since, but not have been revoked. Throws ERR_SIGNATURE.
 */
export async function verifyDetached(
  bytes: Buffer,
  armoredSignature: string,
  publicKeys: readonly string[],
): Promise<Verified> {
  const packet = await readOneSignature(armoredSignature)
  const keys = await Promise.all(publicKeys.map((text) => readOneKey(Buffer.from(text))))
  const signer = keys.find((key) => key.getKeys(packet.issuerKeyID).length > 0)
  if (signer === undefined) {
    throw refused(
      `the signature is by a key that is not trusted here: ${packet.issuerKeyID.toHex().toUpperCase()}`,
    )
  }
  await refuseRevoked(signer, packet)
  const { signatures } = await verify({
    message: await createMessage({ binary: bytes }),
    signature: await readSignature({ armoredSignature }),
    verificationKeys: signer,
    format: 'binary',
    // Whether the key was valid is asked for the moment it signed; the time now plays no part.
    date: null,
  })
  await signatures[0]?.verified.catch((error: unknown) => {
    throw notVerified(signer, error)
  })
  if (signatures.length !== 1 || packet.created === null)
    throw refused('this is not a signature over a document')
  return { fingerprint: fingerprint(signer), signedAt: packet.created }
}

/** The fingerprint of an armored public key: 40 upper-case hexadecimal digits. */
export async function fingerprintOf(publicKey: string): Promise<string> {
  return fingerprint(await readOneKey(Buffer.from(publicKey)))
}

async function readOneSignature(armoredSignature: string): Promise<SignaturePacket> {
  const signature = await readSignature({ armoredSignature }).catch((error: unknown) => {
    throw refused('this is not an armored OpenPGP signature', error)
  })
  const [packet] = signature.packets
  const blocks = armoredSignature.match(/^-----BEGIN /gm)?.length
  if (packet === undefined || signature.packets.length !== 1 || blocks !== 1) {
    throw refused('there must be exactly one signature')
  }
  if (packet.version !== 4 || packet.signatureType !== enums.signature.binary) {
    throw refused('this is not a version 4 signature over a binary document')
  }
  return packet
}

/** A revocation counts whatever its date: dates prove nothing once a key has leaked. */
async function refuseRevoked(signer: Key, packet: SignaturePacket): Promise<void> {
  if (await signer.isRevoked(undefined, undefined, endOfTime))
    throw refused(`the signer's ${nameOf(signer)} is revoked`)
  for (const subkey of signer.getSubkeys(packet.issuerKeyID)) {
    for (const binding of subkey.bindingSignatures) {
      if (await subkey.isRevoked(binding, signer.keyPacket, endOfTime)) {
        throw refused(`the signing subkey ${fingerprint(subkey)} is revoked`)
      }
    }
  }
}

function notVerified(signer: Key, error: unknown): CoffreError {
  const reason = reasonOf(error)
  if (/digest did not match|verification failed/i.test(reason)) {
    return refused(`the signature by ${nameOf(signer)} is not over these bytes: they were altered`, error)
  }
  return refused(`the signature by ${nameOf(signer)} does not hold: ${reason}`, error)
}

function refused(message: string, cause?: unknown): CoffreError {
  return new CoffreError('ERR_SIGNATURE', message, { cause })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
