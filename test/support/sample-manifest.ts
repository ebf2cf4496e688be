/** A manifest as a small backup has it, for tests that need one or spoil one, and the paths into any JSON document. */
import { createHash } from 'node:crypto'
import { parseBackupId } from '../../src/model/backup-id.ts'
import { chunkBytes, type Artifact, type Manifest } from '../../src/model/manifest.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** An artifact whose sizes add up. */
export function sampleArtifact(
  kind: Artifact['kind'],
  name: string,
  { envelopeBytes = 94, bodyBytes = 1000 } = {},
): Artifact {
  const bytes = envelopeBytes + bodyBytes
  return {
    name,
    kind,
    bytes,
    sha256: sha256(name),
    envelope: { bytes: envelopeBytes, sha256: sha256(`${name} envelope`) },
    body: { bytes: bodyBytes, sha256: sha256(`${name} body`) },
    chunks: Array.from({ length: Math.ceil(bytes / chunkBytes) }, (_, n) => sha256(`${name} ${n}`)),
  }
}

export function sampleManifest(changes: Partial<Manifest> = {}): Manifest {
  return {
    type: 'coffre-manifest',
    format: 1,
    repository: '0123456789abcdef0123456789abcdef',
    source: 'koprogo',
    systemIdentifier: '7412345678901234567',
    backup: parseBackupId('20261123T020000Z-7f3a9c2e'),
    sequence: 2,
    previous: sha256('the one before'),
    keyring: 1,
    snapshotTime: '2026-11-23T02:00:00.000Z',
    startedAt: '2026-11-23T01:59:58.000Z',
    finishedAt: '2026-11-23T02:03:00.000Z',
    coffre: '0.1.0',
    postgres: { server: '15.18', pgDump: '15.18', minimumPgRestore: '15.18' },
    dumpOptions: ['--format=custom'],
    compression: { algorithm: 'zstd', level: 3 },
    chunkBytes,
    recipients: [{ fingerprint: 'A'.repeat(40), subkey: 'B'.repeat(40) }],
    plainBytes: 4096,
    restoreGuide: { name: 'RESTORE.md', bytes: 2000, sha256: sha256('guide') },
    artifacts: [
      sampleArtifact('globals', 'globals.sql.zst.gpg'),
      sampleArtifact('inventory', 'inventory.json.zst.gpg'),
      sampleArtifact('rows', 'rows/0001.sql.zst.gpg', { bodyBytes: chunkBytes }),
      sampleArtifact('schema', 'schema.dump.zst.gpg'),
    ],
    ...changes,
  }
}

export type Path = readonly (string | number)[]

/** Every place in a JSON document, the whole of it left out. */
export function pathsOf(value: unknown): readonly Path[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const step = Array.isArray(value) ? Number(key) : key
    return [[step], ...pathsOf(inner).map((path) => [step, ...path])]
  })
}

export function valueAt(document: unknown, path: Path): unknown {
  return path.reduce((inner: unknown, step) => (inner as Record<string, unknown>)[step], document)
}

/** A copy with another value at one place; `undefined` takes the key out. */
export function withValueAt(document: unknown, path: Path, value: unknown): unknown {
  const copy = structuredClone(document)
  const parent = valueAt(copy, path.slice(0, -1)) as Record<string, unknown>
  const last = path.at(-1) ?? ''
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return copy
}

/** What JSON calls it: two values of one kind may both be valid where one is. */
export function jsonKind(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}
