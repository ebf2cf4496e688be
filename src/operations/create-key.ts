/**
 * keys create: a new key pair for backups whose secret nobody ever holds alone: it is made under a random passphrase that
 * exists as shares only. Before any of it is given away, first and last shares have opened it.
 */
import { generateKey } from '../openpgp/keys.ts'
import type { Context } from './context.ts'
import { holdByShares, type SplitKey } from './split-key.ts'

export interface CreateKeyRequest {
  readonly name: string
  readonly email: string
  readonly kind: 'ed25519' | 'rsa4096'
  readonly validDays: number
  readonly threshold: number
  readonly count: number
}

export interface CreatedKey extends SplitKey {
  /** Both armored. */
  readonly publicKey: string
  readonly revocation: string
}

/** Throws ERR_USAGE for a name, an address or numbers that will not do. */
export async function createKey({ now }: Context, request: CreateKeyRequest): Promise<CreatedKey> {
  const { name, email, kind, validDays, threshold, count } = request
  const common = { name, email, kind, validDays, use: 'encrypt', now: now() } as const
  const { key, ...held } = await holdByShares(threshold, count, (passphrase) =>
    generateKey({ ...common, passphrase }),
  )
  return { ...held, publicKey: key.publicKey, revocation: key.revocation }
}
