/** A manifest is read as it was written, or refused with ERR_FORMAT: each of its rules is broken here once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { newBackupId } from '../../src/model/backup-id.ts'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { chunkBytes, parseManifest, totalSealedBytes, type Manifest } from '../../src/model/manifest.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'
import {
  jsonKind,
  pathsOf,
  sampleArtifact,
  sampleManifest,
  valueAt,
  withValueAt,
} from '../support/sample-manifest.ts'

const parse = (value: unknown): Manifest => parseManifest(encodeJson(value))

function refuses(value: unknown, message = /^the manifest/): void {
  assert.throws(() => parse(value), coded('ERR_FORMAT', message))
}

const hex = (length: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((text) => text.length === length)
const fingerprint = hex(40).map((text) => text.toUpperCase())
const size = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const time = fc
  .date({ min: new Date(0), max: new Date('2100-01-01T00:00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString())

const rows = fc.record({ envelopeBytes: fc.integer({ min: 1, max: 9000 }), bodyBytes: fc.nat(40_000_000) })
const artifacts = fc
  .record({
    slices: fc.array(rows, { maxLength: 3 }),
    objects: fc.boolean(),
    suffix: fc.constantFrom('zst', 'gz'),
  })
  .map(({ slices, objects, suffix }) => [
    sampleArtifact('globals', `globals.sql.${suffix}.gpg`),
    sampleArtifact('inventory', `inventory.json.${suffix}.gpg`),
    ...(objects ? [sampleArtifact('large-objects', `large-objects.dump.${suffix}.gpg`)] : []),
    ...slices.map((sizes, n) =>
      sampleArtifact('rows', `rows/${String(n + 1).padStart(4, '0')}.sql.${suffix}.gpg`, sizes),
    ),
    sampleArtifact('schema', `schema.dump.${suffix}.gpg`),
  ])

const version = fc.stringMatching(/^\d[\w.+~ ():-]{0,80}$/)

const manifest: fc.Arbitrary<Manifest> = fc.record({
  type: fc.constant('coffre-manifest' as const),
  format: fc.constant(1 as const),
  repository: hex(32),
  source: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,62}$/),
  systemIdentifier: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  backup: fc
    .uint8Array({ minLength: 4, maxLength: 4 })
    .map((tail) => newBackupId(new Date(0), Buffer.from(tail))),
  sequence: fc.integer({ min: 1 }),
  previous: fc.option(hex(64)),
  keyring: fc.integer({ min: 1 }),
  snapshotTime: time,
  startedAt: time,
  finishedAt: time,
  coffre: fc.string({ unit: 'binary' }),
  postgres: fc.record({ server: version, pgDump: version, minimumPgRestore: version }),
  dumpOptions: fc.array(fc.string({ unit: 'binary' }), { maxLength: 3 }),
  compression: fc.record({
    algorithm: fc.constantFrom('zstd', 'gzip'),
    level: fc.integer({ min: -7, max: 22 }),
  }),
  chunkBytes: fc.constant(chunkBytes),
  recipients: fc.array(fc.record({ fingerprint, subkey: fingerprint }), { minLength: 1, maxLength: 3 }),
  plainBytes: size,
  restoreGuide: fc.record({ name: fc.constant('RESTORE.md' as const), bytes: size, sha256: hex(64) }),
  artifacts,
})

test('every valid manifest is read as itself', async (t) => {
  await holds(
    t,
    fc.property(manifest, (written) => {
      assert.deepEqual(parse(written), structuredClone(written))
    }),
    200,
  )
})

const replacements = [null, true, 'x', '', 7, 0.5, -1, [], {}, [null], { a: 1 }]

test('no field is taken for one of another type, or left out, or doubled under another name', async (t) => {
  const spoiled = manifest.chain((whole) =>
    fc.record({
      whole: fc.constant(whole),
      path: fc.constantFrom(...pathsOf(whole)),
      value: fc.constantFrom(undefined, ...replacements),
    }),
  )
  const property = fc.property(spoiled, ({ whole, path, value }) => {
    const before = valueAt(whole, path)
    const inArray = typeof path.at(-1) === 'number'
    fc.pre(value !== undefined || !inArray)
    fc.pre(value === undefined || jsonKind(value) !== jsonKind(before))
    fc.pre(!(path[0] === 'previous' && value === null))
    refuses(withValueAt(whole, path, value))
  })
  await holds(t, property, 2000)
})

test('each single field of a manifest is spoiled in each way, and each time refused', () => {
  const whole = sampleManifest()
  const paths = pathsOf(whole)
  assert.ok(paths.length > 80)
  for (const path of paths) {
    const before = valueAt(whole, path)
    for (const value of replacements) {
      if (jsonKind(value) === jsonKind(before) || (path[0] === 'previous' && value === null)) continue
      refuses(withValueAt(whole, path, value))
    }
    if (typeof before === 'number') {
      for (const number of [0.5, 2 ** 53, 1e300]) refuses(withValueAt(whole, path, number))
    }
    if (jsonKind(before) === 'object') refuses(withValueAt(whole, [...path, 'alien'], 1))
  }
  refuses({ ...whole, alien: 1 })
})

test('whatever JSON stands there instead, it is ERR_FORMAT and nothing else', async (t) => {
  const property = fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => refuses(value))
  await holds(t, property, 200)
})

/** One artifact of the sample, the third (rows), changed. */
function withRows(changes: object): Manifest {
  const whole = sampleManifest()
  return {
    ...whole,
    artifacts: whole.artifacts.map((one) => (one.kind === 'rows' ? { ...one, ...changes } : one)),
  }
}

test('sizes that do not add up are refused', () => {
  const [, , before] = sampleManifest().artifacts
  assert.ok(before)
  refuses(withRows({ bytes: before.bytes + 1 }), /is not possible$/)
  refuses(withRows({ bytes: before.bytes - 1 }), /is not possible$/)
  refuses(withRows({ body: { ...before.body, bytes: 0 } }), /is not possible$/)
  refuses(withRows({ envelope: { ...before.envelope, bytes: 0 } }), /is not possible$/)
  refuses(withRows({ bytes: -1, body: { ...before.body, bytes: -1 - before.envelope.bytes } }))
})

test('as many chunk digests as there are chunks, no more and no less', () => {
  const [, , before] = sampleManifest().artifacts
  assert.ok(before)
  assert.equal(before.chunks.length, 2)
  refuses(withRows({ chunks: before.chunks.slice(1) }), /is not possible$/)
  refuses(withRows({ chunks: [...before.chunks, before.sha256] }), /is not possible$/)
  refuses(withRows({ chunks: [] }), /is not possible$/)
  refuses(sampleManifest({ chunkBytes: chunkBytes / 2 }))
  for (const bytes of [chunkBytes - 1, chunkBytes, chunkBytes + 1]) {
    const exact = sampleArtifact('rows', 'rows/0001.sql.zst.gpg', { bodyBytes: bytes - 94 })
    assert.equal(exact.chunks.length, bytes > chunkBytes ? 2 : 1)
    assert.equal(parse(withRows(exact)).artifacts[2]?.bytes, bytes)
  }
})

const alienNames = [
  '../rows/0001.sql.zst.gpg',
  'rows/../0001.sql.zst.gpg',
  '/rows/0001.sql.zst.gpg',
  'rows/0001.sql.zst.gpg/',
  'rows/0001.sql.zst.gpg\n',
  'rows/1.sql.zst.gpg',
  'rows/0001.sql.gpg',
  'rows/0001.sql.zst',
  'Rows/0001.sql.zst.gpg',
  'rows\\0001.sql.zst.gpg',
  'rows/٠٠٠١.sql.zst.gpg',
  'schema.dump.zst.gpg',
  'manifest.json',
  'RESTORE.md',
  '',
  '.',
  'rows/0001.sql.zst.gpg\0',
]

test('names that are not those of their kind are refused', () => {
  for (const name of alienNames) refuses(withRows({ name }), /is not possible$/)
  refuses(withRows({ kind: 'globals' }), /is not possible$/)
  refuses(withRows({ kind: 'wal' }))
})

test('a name that is there twice is refused', () => {
  const whole = sampleManifest()
  const [globals, inventory, slice, schema] = whole.artifacts
  assert.ok(globals && inventory && slice && schema)
  refuses(sampleManifest({ artifacts: [globals, inventory, slice, slice, schema] }), /is not possible$/)
  refuses(sampleManifest({ artifacts: [globals, globals, inventory, schema] }), /is not possible$/)
  const twice = sampleArtifact('schema', 'schema.dump.gz.gpg')
  refuses(sampleManifest({ artifacts: [globals, inventory, schema, twice] }), /exactly one schema artifact$/)
})

test('schema, globals and inventory are never missing; rows and large objects may be', () => {
  const { artifacts } = sampleManifest()
  for (const kind of ['schema', 'globals', 'inventory'] as const) {
    const rest = artifacts.filter((one) => one.kind !== kind)
    refuses(sampleManifest({ artifacts: rest }), new RegExp(`exactly one ${kind} artifact$`))
  }
  const bare = artifacts.filter(({ kind }) => kind !== 'rows')
  assert.equal(parse(sampleManifest({ artifacts: bare })).artifacts.length, 3)
  refuses(sampleManifest({ artifacts: [] }))
  refuses(sampleManifest({ recipients: [] }))
})

test('a newer format is told apart from a broken manifest', () => {
  const newer = { type: 'coffre-manifest', format: 2, anything: ['else'] }
  assert.throws(
    () => parse(newer),
    (error) => {
      assert.ok(coded('ERR_FORMAT', /has format 2, this coffre reads format 1$/)(error))
      assert.match((error as { hint: string }).hint, /newer/)
      return true
    },
  )
  for (const format of [0, -1, 1.5, '1', null]) refuses({ ...sampleManifest(), format })
  for (const format of [0, '1', null]) refuses({ ...sampleManifest(), format }, /does not follow format 1/)
})

test('values of the right type and the wrong shape are refused', () => {
  for (const [field, value] of [
    ['type', 'coffre-inventory'],
    ['repository', '0123456789ABCDEF0123456789ABCDEF'],
    ['repository', 'abc'],
    ['source', '../other'],
    ['source', 'Koprogo'],
    ['source', ''],
    ['source', 'a'.repeat(64)],
    ['systemIdentifier', '-1'],
    ['systemIdentifier', '1'.repeat(21)],
    ['backup', 'latest'],
    ['sequence', 0],
    ['keyring', 0],
    ['previous', 'A'.repeat(64)],
    ['snapshotTime', '2026-11-23'],
    ['snapshotTime', '2026-13-23T02:00:00.000Z'],
    ['finishedAt', 'yesterday'],
    ['plainBytes', -1],
    ['compression', { algorithm: 'lz4', level: 1 }],
    ['recipients', [{ fingerprint: 'a'.repeat(40), subkey: 'B'.repeat(40) }]],
    ['restoreGuide', { name: '../RESTORE.md', bytes: 1, sha256: '0'.repeat(64) }],
  ] as const) {
    refuses({ ...sampleManifest(), [field]: value }, new RegExp(`does not follow format 1[^]*${field}`))
  }
})

test('what is not in the one form is refused before it is understood', () => {
  const text = JSON.stringify(sampleManifest())
  assert.throws(() => parseManifest(Buffer.from(text)), coded('ERR_FORMAT', /not in the one form/))
  assert.throws(() => parseManifest(Buffer.from('{')), coded('ERR_FORMAT', /not JSON/))
})

test('the total is the sum of the artifacts', () => {
  assert.equal(totalSealedBytes(sampleManifest()), 3 * 1094 + 94 + chunkBytes)
})
