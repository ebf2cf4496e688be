/**
 * The Manifest: a backup's description and its commit point. A backup exists if and only if this object does.
 * It is clear text and says nothing of the content: no table, column or database name. Its raw bytes are signed;
 * they bind type, format, repository, source, system identifier, backup id, sequence number, the previous
 * manifest's SHA-256 and the complete list of artifacts, so that nothing can be altered, moved or spliced unseen.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { backupIdPattern, type BackupId } from './backup-id.ts'
import { decodeJson } from './canonical-json.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const fingerprint = z.string().regex(/^[0-9A-F]{40}$/)
const sizeBytes = z.number().int().nonnegative()
const time = z.iso.datetime()

/** `15.18 (Debian 15.18-0+deb12u1)`: a server's own words end up in RESTORE.md, so they are held to a few characters. */
export const serverVersionPattern = /^\d[\w.+~ ():-]{0,80}$/
const version = z.string().regex(serverVersionPattern)

/** Names of sources, in keys and on the command line. */
export const sourceNamePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** How many bytes of an artifact each entry of `chunks` covers; the last one covers the rest. */
export const chunkBytes = 8 * 1024 * 1024

export const artifactKinds = ['globals', 'schema', 'rows', 'large-objects', 'inventory'] as const
export type ArtifactKind = (typeof artifactKinds)[number]

const namePatterns: Record<ArtifactKind, RegExp> = {
  globals: /^globals\.sql\.(zst|gz)\.gpg$/,
  schema: /^schema\.dump\.(zst|gz)\.gpg$/,
  rows: /^rows\/\d{4,6}\.sql\.(zst|gz)\.gpg$/,
  'large-objects': /^large-objects\.dump\.(zst|gz)\.gpg$/,
  inventory: /^inventory\.json\.(zst|gz)\.gpg$/,
}

const artifact = z.strictObject({
  name: z.string(),
  kind: z.enum(artifactKinds),
  bytes: sizeBytes,
  sha256,
  /** The PKESK packets at the artifact's start. */
  envelope: z.strictObject({ bytes: sizeBytes, sha256 }),
  /** All that follows the envelope: one SEIPD packet. */
  body: z.strictObject({ bytes: sizeBytes, sha256 }),
  /** SHA-256 of each `chunkBytes` of the artifact, so that it can be checked before use and still stream. */
  chunks: z.array(sha256),
})
export type Artifact = z.infer<typeof artifact>

const manifestSchema = z.strictObject({
  type: z.literal('coffre-manifest'),
  format: z.literal(1),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  source: z.string().regex(sourceNamePattern),
  systemIdentifier: z.string().regex(/^\d{1,20}$/),
  backup: z
    .string()
    .regex(backupIdPattern)
    .transform((id) => id as BackupId),
  sequence: z.number().int().positive(),
  /** SHA-256 of the manifest before this one of the same source; null for the first. */
  previous: sha256.nullable(),
  keyring: z.number().int().positive(),
  snapshotTime: time,
  startedAt: time,
  finishedAt: time,
  coffre: z.string(),
  postgres: z.strictObject({ server: version, pgDump: version, minimumPgRestore: version }),
  dumpOptions: z.array(z.string()),
  compression: z.strictObject({ algorithm: z.enum(['zstd', 'gzip']), level: z.number().int() }),
  chunkBytes: z.literal(chunkBytes),
  recipients: z.array(z.strictObject({ fingerprint, subkey: fingerprint })).min(1),
  plainBytes: sizeBytes,
  restoreGuide: z.strictObject({ name: z.literal('RESTORE.md'), bytes: sizeBytes, sha256 }),
  artifacts: z.array(artifact).min(3),
})
export type Manifest = z.infer<typeof manifestSchema>

/** Parses the signed bytes. Throws ERR_FORMAT; a newer format is told apart from a broken one. */
export function parseManifest(bytes: Buffer): Manifest {
  const value = decodeJson(bytes, 'the manifest')
  refuseOtherFormat(value)
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) {
    throw new CoffreError(
      'ERR_FORMAT',
      `the manifest does not follow format 1: ${z.prettifyError(parsed.error)}`,
    )
  }
  assertArtifacts(parsed.data)
  return parsed.data
}

function refuseOtherFormat(value: unknown): void {
  const format = z.looseObject({ format: z.number() }).safeParse(value)
  if (format.success && format.data.format > 1) {
    throw new CoffreError(
      'ERR_FORMAT',
      `the manifest has format ${format.data.format}, this coffre reads format 1`,
      {
        hint: 'read this backup with the coffre that wrote it, or a newer one',
      },
    )
  }
}

/** Complete, unique, each name of the shape its kind has, sizes that add up. */
function assertArtifacts(manifest: Manifest): void {
  const names = new Set<string>()
  for (const { name, kind, bytes, envelope, body, chunks } of manifest.artifacts) {
    const wellNamed = namePatterns[kind].test(name) && !names.has(name)
    const addsUp = bytes === envelope.bytes + body.bytes && chunks.length === Math.ceil(bytes / chunkBytes)
    if (!wellNamed || !addsUp)
      throw new CoffreError('ERR_FORMAT', `the manifest's artifact ${JSON.stringify(name)} is not possible`)
    names.add(name)
  }
  for (const kind of ['globals', 'schema', 'inventory'] as const) {
    if (manifest.artifacts.filter((artifact) => artifact.kind === kind).length !== 1) {
      throw new CoffreError('ERR_FORMAT', `the manifest does not name exactly one ${kind} artifact`)
    }
  }
}

export function totalSealedBytes(manifest: Manifest): number {
  return manifest.artifacts.reduce((sum, artifact) => sum + artifact.bytes, 0)
}
