/**
 * Reads the one OpenPGP key that a file holds, armored or binary, and says what its algorithms are good for.
 * It promises exactly one key or ERR_KEY; whether that key is valid and useful is for the files that ask for it.
 */
import { readKeys } from 'openpgp'
import type { AlgorithmInfo, Key } from 'openpgp'
import { CoffreError } from '../errors.ts'

/** Shorter RSA keys are refused (BSI TR-02102, NIST SP 800-57: 3072 bits and more beyond 2030). */
const leastRsaBits = 3072

const armorStart = /^-----BEGIN PGP [A-Z ]+-----/gm

/** The key in `bytes`, public or secret. Throws ERR_KEY unless there is exactly one, of version 4. */
export async function readOneKey(bytes: Uint8Array): Promise<Key> {
  const keys = await parseKeys(bytes)
  const [key] = keys
  if (key === undefined || keys.length > 1) throw notOneKey(keys.length)
  if (key.keyPacket.version !== 4) {
    throw new CoffreError(
      'ERR_KEY',
      `${nameOf(key)} is a version ${key.keyPacket.version} key, which GnuPG 2.2 cannot use`,
      {
        hint: 'make a version 4 key: coffre keys create, or gpg --quick-generate-key',
      },
    )
  }
  return key
}

async function parseKeys(bytes: Uint8Array): Promise<readonly Key[]> {
  const isBinary = ((bytes[0] ?? 0) & 0x80) !== 0
  try {
    if (isBinary) return await readKeys({ binaryKeys: bytes })
    const armoredKeys = Buffer.from(bytes).toString('utf8')
    // The library reads the first block and would ignore the others.
    const blocks = armoredKeys.match(armorStart)?.length ?? 0
    if (blocks !== 1) throw notOneKey(blocks)
    return await readKeys({ armoredKeys })
  } catch (error) {
    if (error instanceof CoffreError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new CoffreError('ERR_KEY', `this is not a usable OpenPGP key: ${reason}`, { cause: error })
  }
}

function notOneKey(count: number): CoffreError {
  return new CoffreError('ERR_KEY', `exactly one OpenPGP key is wanted, not ${count}`, {
    hint: 'write one key into one file: gpg --armor --export FINGERPRINT',
  })
}

/** How every message calls a key: its full fingerprint. */
export function nameOf(key: Key): string {
  return `key ${fingerprint(key)}`
}

/** The fingerprint of a key or subkey as 40 upper-case hexadecimal digits. */
export function fingerprint(key: { getFingerprint(): string }): string {
  return key.getFingerprint().toUpperCase()
}

/** Why coffre does not encrypt to such a subkey, or undefined if it does. */
export function whyNotForEncryption(algorithm: AlgorithmInfo): string | undefined {
  if (algorithm.algorithm === 'ecdh' && algorithm.curve === 'curve25519Legacy') return undefined
  return whyNotRsa(algorithm, ['rsaEncryptSign', 'rsaEncrypt'], 'Cv25519 (ECDH) and RSA')
}

/** Why GnuPG 2.2 could not check signatures of such a key, or coffre would not trust them; undefined if all is well. */
export function whyNotForSigning(algorithm: AlgorithmInfo): string | undefined {
  if (algorithm.algorithm === 'eddsaLegacy' || algorithm.algorithm === 'ecdsa') return undefined
  return whyNotRsa(algorithm, ['rsaEncryptSign', 'rsaSign'], 'Ed25519 (EdDSA), ECDSA and RSA')
}

function whyNotRsa(
  algorithm: AlgorithmInfo,
  names: readonly AlgorithmInfo['algorithm'][],
  accepted: string,
): string | undefined {
  if (!names.includes(algorithm.algorithm)) {
    const name =
      algorithm.curve === undefined ? algorithm.algorithm : `${algorithm.algorithm} ${algorithm.curve}`
    return `is of the kind ${name}; ${accepted} are accepted`
  }
  const bits = algorithm.bits ?? 0
  return bits < leastRsaBits ? `is RSA with ${bits} bits; ${leastRsaBits} is the least` : undefined
}
