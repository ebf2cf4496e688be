/** The format vectors (test/vectors/README.md): what is in one, and copies of its repository with a damage done to them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeJson } from '../../src/model/canonical-json.ts'
import type { RowDigest } from '../../src/model/row-digest.ts'
import { readSigningKey } from '../../src/openpgp/keys.ts'
import { signDetached } from '../../src/openpgp/signature.ts'
import { home } from './coffre.ts'

export interface VectorBackup {
  /** What damages.json calls it, in braces. */
  readonly name: string
  readonly id: string
  readonly artifacts: readonly {
    readonly name: string
    readonly plainBytes: number
    readonly plainSha256: string
  }[]
  readonly tables: readonly ({
    readonly schema: string
    readonly name: string
    readonly columns: readonly string[]
  } & RowDigest)[]
  readonly sequences: readonly unknown[]
  readonly largeObjects: unknown
}

export interface Vector {
  readonly folder: string
  readonly root: string
  readonly source: string
  readonly identities: readonly {
    readonly file: string
    readonly fingerprint: string
    readonly passphrase: string
  }[]
  readonly backups: readonly VectorBackup[]
}

interface Change {
  readonly do: 'flip' | 'truncate' | 'append' | 'remove' | 'copy' | 'replace' | 'insert' | 'recount' | 'sign'
  readonly file: string
  readonly at?: number | 'body' | 'end'
  readonly bytes?: number
  readonly hex?: string
  readonly from?: string
  readonly to?: string
  /** So many characters behind what was replaced go too. */
  readonly drop?: number
  readonly key?: string
}

export type Stage = 'open' | 'read' | 'verify' | 'use'

export interface Damage {
  readonly name: string
  /** The backup that is looked at; default the zstd one. */
  readonly backup?: string
  readonly change: readonly Change[]
  readonly expect: Readonly<Partial<Record<Stage, string>>>
}

export function vectorNames(): readonly string[] {
  return readdirSync(join(home, 'test/vectors')).filter((name) => /^v\d+(\.\d+)?$/.test(name))
}

export function readVector(name: string): Vector {
  const folder = join(home, 'test/vectors', name)
  return {
    folder,
    ...(JSON.parse(readFileSync(join(folder, 'vector.json'), 'utf8')) as Omit<Vector, 'folder'>),
  }
}

export function readDamages({ folder }: Vector): readonly Damage[] {
  return JSON.parse(readFileSync(join(folder, 'damages.json'), 'utf8')) as Damage[]
}

export interface DamagedRepository extends Disposable {
  readonly path: string
  /** The id of the backup that is looked at. */
  readonly id: string
}

/** A copy of the vector's repository with these changes; removed at the end. */
export async function damagedRepository(vector: Vector, damage: Damage): Promise<DamagedRepository> {
  const path = mkdtempSync(join(tmpdir(), 'coffre-vector-'))
  const idOf = (placeholder: string): string =>
    vector.backups.find(({ name }) => placeholder === `{${name}}`)?.id ?? assert.fail(placeholder)
  const resolve = (file: string): string =>
    join(
      path,
      file.replace(/^\{\w+\}/, (placeholder) => `backups/${vector.source}/${idOf(placeholder)}`),
    )
  cpSync(join(vector.folder, 'repository'), path, { recursive: true })
  for (const change of damage.change) await apply(vector, change, resolve)
  return {
    path,
    id: idOf(damage.backup ?? '{zstd}'),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

async function apply(vector: Vector, change: Change, resolve: (file: string) => string): Promise<void> {
  const { file, from = '', to = '' } = change
  const path = resolve(file)
  if (change.do === 'sign') {
    const secret = readFileSync(join(vector.folder, `keys/TEST-KEY-${change.key}-secret.asc`))
    writeFileSync(
      `${path}.asc`,
      await signDetached(readFileSync(path), await readSigningKey(secret), new Date()),
    )
  } else if (change.do === 'copy') copyFileSync(path, resolve(to))
  else if (change.do === 'remove') rmSync(path)
  else if (change.do === 'recount') recount(path, file)
  else {
    const bytes = readFileSync(path)
    const inserted = change.do === 'insert' ? readFileSync(join(vector.folder, from)) : Buffer.alloc(0)
    writeFileSync(
      path,
      altered(bytes, change, change.at === 'body' ? envelopeBytes(path, file) : bytes.length, inserted),
    )
  }
}

function altered(bytes: Buffer, change: Change, at: number, inserted: Buffer): Buffer {
  const { from = '', to = '' } = change
  switch (change.do) {
    case 'flip': {
      const place = Number(change.at) < 0 ? bytes.length + Number(change.at) : Number(change.at)
      bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place)
      return bytes
    }
    case 'truncate':
      return bytes.subarray(0, bytes.length - (change.bytes ?? 0))
    case 'append':
      return Buffer.concat([bytes, Buffer.from(change.hex ?? '', 'hex')])
    case 'insert':
      return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)])
    case 'replace': {
      const start = bytes.indexOf(from)
      assert.ok(start >= 0, `${change.file} does not hold ${from}`)
      const rest = bytes.subarray(start + Buffer.byteLength(from) + (change.drop ?? 0))
      return Buffer.concat([bytes.subarray(0, start), Buffer.from(to), rest])
    }
    case 'copy':
    case 'remove':
    case 'recount':
    case 'sign':
      return assert.fail(`${change.do} is no change of bytes`)
  }
}

interface ManifestText {
  readonly artifacts: {
    name: string
    bytes: number
    sha256: string
    envelope: { bytes: number }
    body: unknown
    chunks: string[]
  }[]
}

function entryOf(
  path: string,
  file: string,
): { manifestPath: string; manifest: ManifestText; entry: ManifestText['artifacts'][number] } {
  const name = file.replace(/^\{\w+\}\//, '')
  const manifestPath = join(path.slice(0, -name.length), 'manifest.json')
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as ManifestText
  const entry = manifest.artifacts.find((artifact) => artifact.name === name)
  return { manifestPath, manifest, entry: entry ?? assert.fail(`${name} is not in the manifest`) }
}

function envelopeBytes(path: string, file: string): number {
  return entryOf(path, file).entry.envelope.bytes
}

/** Writes into the manifest what the artifact now is, as a host that vouches for it would. */
function recount(path: string, file: string): void {
  const { manifestPath, manifest, entry } = entryOf(path, file)
  const sealed = readFileSync(path)
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  const [envelope, body] = [sealed.subarray(0, entry.envelope.bytes), sealed.subarray(entry.envelope.bytes)]
  Object.assign(entry, {
    bytes: sealed.length,
    sha256: sha256(sealed),
    envelope: { bytes: envelope.length, sha256: sha256(envelope) },
    body: { bytes: body.length, sha256: sha256(body) },
    chunks: [sha256(sealed)],
  })
  writeFileSync(manifestPath, encodeJson(manifest))
}
