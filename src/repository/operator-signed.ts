/**
 * Small records that operators sign: holds and the ledger. Written signature first, create-only; read only when the
 * signature is by an operator of the keyring the record names, and the record belongs to this repository. What anybody
 * else put there is ignored and reported by those who read.
 */
import { createHash } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { encodeJson } from '../model/canonical-json.ts'
import type { Keyring } from '../model/keyring.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { signDetached, verifyDetached } from '../openpgp/signature.ts'
import { readObject } from '../storage/object-store.ts'
import { signatureKey } from './layout.ts'
import type { Repository } from './repository.ts'
import { readSignature } from './trust.ts'

const recordLimitBytes = 64 * 1024 * 1024

/** What every such record says of itself. */
interface Placed {
  readonly repository: string
  readonly keyring: number
}

export interface OperatorSigned<T> {
  readonly value: T
  readonly sha256: string
}

/** Throws ERR_SIGNATURE or ERR_FORMAT for one that cannot be believed. */
export async function readOperatorSigned<T extends Placed>(
  { store, trust, id }: Repository,
  key: string,
  parse: (bytes: Buffer) => T,
): Promise<OperatorSigned<T>> {
  const bytes = await readObject(store, key, { limitBytes: recordLimitBytes })
  const operators = [...trust.keyrings.values()].flatMap(operatorsOf)
  if (operators.length === 0)
    throw new CoffreError('ERR_SIGNATURE', `${key} is there, and no keyring names an operator`)
  const { fingerprint } = await verifyDetached(bytes, await readSignature(store, key), [
    ...new Set(operators.map(({ publicKey }) => publicKey)),
  ])
  const value = parse(bytes)
  const keyring = trust.keyrings.get(value.keyring)
  const entitled = keyring === undefined ? [] : operatorsOf(keyring)
  if (!entitled.some((operator) => operator.fingerprint === fingerprint))
    throw new CoffreError('ERR_SIGNATURE', `${key} is not signed by an operator of keyring ${value.keyring}`)
  if (value.repository !== id) throw new CoffreError('ERR_SIGNATURE', `${key} is of another repository`)
  return { value, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** Throws ERR_EXISTS when somebody else took the key. */
export async function writeOperatorSigned(
  { store }: Repository,
  key: string,
  value: Placed,
  signing: SigningKey,
  now: Date,
): Promise<void> {
  const bytes = encodeJson(value)
  await store.create(signatureKey(key), Buffer.from(await signDetached(bytes, signing, now)))
  await store.create(key, bytes)
}

/** Throws ERR_PIN unless the keyring in force lets the key sign as an operator. */
export function assertOperator({ trust: { current, broken } }: Repository, key: SigningKey): void {
  if (broken[0] !== undefined) throw broken[0]
  if (operatorsOf(current).some(({ fingerprint }) => fingerprint === key.fingerprint)) return
  throw new CoffreError(
    'ERR_PIN',
    `keyring ${current.version} does not let ${key.fingerprint} sign as an operator`,
    {
      hint: 'holds and the ledger are signed by an operator: a keyring that names one is signed by the root',
    },
  )
}

function operatorsOf(keyring: Keyring): Keyring['signers'] {
  return keyring.signers.filter(({ role }) => role === 'operator')
}
