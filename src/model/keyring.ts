/**
 * The Keyring: who can read new backups (recipients) and whose signatures count, for what (signers with roles).
 * Numbered and immutable; each version is signed by the root, whose fingerprint every configuration pins.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { decodeJson } from './canonical-json.ts'
import { sourceNamePattern } from './manifest.ts'

const fingerprint = z.string().regex(/^[0-9A-F]{40}$/)

/** host: signs its sources' manifests. driller: reports. operator: envelopes, holds, the ledger. */
const roles = ['host', 'driller', 'operator'] as const

const keyringSchema = z.strictObject({
  type: z.literal('coffre-keyring'),
  format: z.literal(1),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  version: z.number().int().positive(),
  createdAt: z.iso.datetime(),
  root: z.strictObject({ fingerprint, publicKey: z.string() }),
  recipients: z.array(z.strictObject({ fingerprint, subkey: fingerprint, publicKey: z.string() })).min(1),
  signers: z
    .array(
      z.strictObject({
        fingerprint,
        role: z.enum(roles),
        /** The sources a host signs for; `*` for all. Empty for the other roles. */
        sources: z.array(z.union([z.literal('*'), z.string().regex(sourceNamePattern)])),
        publicKey: z.string(),
      }),
    )
    .min(1),
})
export type Keyring = z.infer<typeof keyringSchema>
export type Signer = Keyring['signers'][number]

/** Parses bytes whose signature by the root is already checked. Throws ERR_FORMAT. */
export function parseKeyring(bytes: Buffer): Keyring {
  const parsed = keyringSchema.safeParse(decodeJson(bytes, 'the keyring'))
  if (!parsed.success) {
    throw new CoffreError(
      'ERR_FORMAT',
      `the keyring does not follow format 1: ${z.prettifyError(parsed.error)}`,
    )
  }
  return parsed.data
}

/** The signers whose word counts for a source's manifests. */
export function manifestSigners(keyring: Keyring, source: string): readonly Signer[] {
  return keyring.signers.filter(
    (signer) => signer.role === 'host' && (signer.sources.includes('*') || signer.sources.includes(source)),
  )
}

/** What differs between the pins of a configuration and the keyring; empty when they agree. */
export function pinDifferences(pinned: readonly string[], keyring: Keyring): readonly string[] {
  const inKeyring = new Set(keyring.recipients.map((recipient) => recipient.fingerprint))
  const differences = [...new Set(pinned)]
    .filter((fingerprint) => !inKeyring.delete(fingerprint))
    .map((fingerprint) => `${fingerprint} is pinned in the configuration but not in the keyring`)
  return [
    ...differences,
    ...[...inKeyring].map(
      (fingerprint) => `${fingerprint} is in the keyring but not pinned in the configuration`,
    ),
  ]
}
