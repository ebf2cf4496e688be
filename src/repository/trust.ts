/**
 * Whom a repository's reader believes: the keyrings, each signed by the root whose fingerprint the configuration pins.
 * Everything else hangs from that one fingerprint.
 */
import { createHash } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { encodeJson } from '../model/canonical-json.ts'
import { parseKeyring, type Keyring } from '../model/keyring.ts'
import { fingerprintOf, signDetached, verifyDetached } from '../openpgp/signature.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'
import { keyringKey, keyringsFolder, keyringVersion, signatureKey } from './layout.ts'

const keyringLimitBytes = 4 * 1024 * 1024
export const signatureLimitBytes = 64 * 1024

export interface Trust {
  readonly current: Keyring
  /** SHA-256 of the current keyring's bytes. */
  readonly currentSha256: string
  /** By version; a manifest names the one that was in force. */
  readonly keyrings: ReadonlyMap<number, Keyring>
  /** Keyrings that cannot be believed. Reading goes on without them; nothing new is sealed while there are any. */
  readonly broken: readonly CoffreError[]
}

/** Reads and checks every keyring. Throws ERR_SIGNATURE or ERR_FORMAT when none can be believed, ERR_STORE. */
export async function readTrust(
  store: ObjectStore,
  repositoryId: string,
  rootFingerprint: string,
): Promise<Trust> {
  const keyrings = new Map<number, Keyring>()
  const broken: CoffreError[] = []
  let newest: { keyring: Keyring; sha256: string } | undefined
  for await (const { key } of store.list(keyringsFolder)) {
    const version = keyringVersion(key)
    if (version === undefined) continue
    let bytes: Buffer
    let keyring: Keyring
    try {
      bytes = await readObject(store, key, { limitBytes: keyringLimitBytes })
      keyring = await checkKeyring(store, key, bytes, { version, repositoryId, rootFingerprint })
    } catch (error) {
      if (!(error instanceof CoffreError) || error.exitStatus !== 8) throw error
      broken.push(error)
      continue
    }
    keyrings.set(version, keyring)
    if (newest === undefined || version > newest.keyring.version) {
      newest = { keyring, sha256: createHash('sha256').update(bytes).digest('hex') }
    }
  }
  if (newest === undefined) {
    if (broken[0] !== undefined) throw broken[0]
    throw new CoffreError('ERR_STORE', `there is no keyring in ${store.description}`, {
      hint: 'coffre init makes the first one',
    })
  }
  return { current: newest.keyring, currentSha256: newest.sha256, keyrings, broken }
}

async function checkKeyring(
  store: ObjectStore,
  key: string,
  bytes: Buffer,
  place: { readonly version: number; readonly repositoryId: string; readonly rootFingerprint: string },
): Promise<Keyring> {
  const { version, repositoryId, rootFingerprint } = place
  // The root's public key stands in the keyring itself: it is read to check the signature, and believed by its fingerprint.
  const keyring = parseKeyring(bytes)
  const rootKey = keyring.root.publicKey
  if ((await fingerprintOrNone(rootKey)) !== rootFingerprint) {
    throw new CoffreError(
      'ERR_SIGNATURE',
      `${key} names another root than the one this configuration pins (trust.root)`,
      {
        hint: 'compare trust.root with the fingerprint in the recovery kit; somebody may have replaced the keyring',
      },
    )
  }
  const signature = await readSignature(store, key)
  await verifyDetached(bytes, signature, [rootKey])
  if (keyring.version !== version || keyring.repository !== repositoryId) {
    throw new CoffreError(
      'ERR_SIGNATURE',
      `${key} is a keyring of another place (version ${keyring.version}, repository ${keyring.repository})`,
    )
  }
  return keyring
}

/** What stands in place of a key may be anything. */
async function fingerprintOrNone(publicKey: string): Promise<string | undefined> {
  try {
    return await fingerprintOf(publicKey)
  } catch {
    return undefined
  }
}

/** The armored signature beside a key. Throws ERR_SIGNATURE when there is none. */
export async function readSignature(store: ObjectStore, key: string): Promise<string> {
  const signed = signatureKey(key)
  if ((await store.head(signed)) === undefined)
    throw new CoffreError('ERR_SIGNATURE', `${key} has no signature`)
  return (await readObject(store, signed, { limitBytes: signatureLimitBytes })).toString('utf8')
}

/** Writes the next keyring: the signature first, then the keyring itself, create-only. */
export async function writeKeyring(
  store: ObjectStore,
  keyring: Keyring,
  root: SigningKey,
  now: Date,
): Promise<void> {
  const bytes = encodeJson(keyring)
  const key = keyringKey(keyring.version)
  await store.create(signatureKey(key), Buffer.from(await signDetached(bytes, root, now)))
  await store.create(key, bytes)
}
