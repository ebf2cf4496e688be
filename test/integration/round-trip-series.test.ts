/** One backup after another, of several sources: numbers, the chain of digests, and what scripts read with --json. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseKeyring } from '../../src/model/keyring.ts'
import { readSigningKey } from '../../src/openpgp/keys.ts'
import { writeKeyring } from '../../src/repository/trust.ts'
import { DirectoryStore } from '../../src/storage/directory.ts'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'

interface Made {
  readonly id: string
  readonly source: string
  readonly snapshotTime: string
  readonly artifacts: readonly {
    readonly name: string
    readonly kind: string
    readonly bytes: number
    readonly sha256: string
  }[]
  readonly [field: string]: unknown
}

interface Shown {
  readonly manifest: {
    readonly sequence: number
    readonly previous: string | null
    readonly repository: string
    readonly artifacts: readonly object[]
  }
  readonly manifestSha256: string
  readonly inventory: { readonly tables: readonly { readonly name: string; readonly rows: number }[] } | null
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function read<T>(workshop: Workshop, args: readonly string[]): Promise<T> {
  return (await workshop.json(args)) as T
}

/** The files of a backup, as they lie in the repository. */
function stored(workshop: Workshop, { source, id }: Made, name: string): Promise<Buffer> {
  return readFile(join(workshop.folder, 'repository/backups', source, id, name))
}

test('what backup, list, show and restore say to scripts is what lies in the repository', async () => {
  await using database = await makeDatabase('said')
  await database.sql(
    `CREATE TABLE a (id int); INSERT INTO a SELECT generate_series(1, 100); CREATE TABLE b (t text); INSERT INTO b VALUES ('x')`,
  )
  await using workshop = await makeWorkshop({ sources: { said: { url: database.url } } })
  const made = await read<Made>(workshop, ['backup'])
  const { manifest, manifestSha256, inventory } = await read<Shown>(workshop, ['show', made.id])

  assert.match(made.id, /^\d{8}T\d{6}Z-[0-9a-f]{8}$/)
  assert.equal(made.id.slice(0, 16), made.snapshotTime.replace(/[-:]|\.\d+/g, ''))
  assert.ok(Math.abs(Date.now() - Date.parse(made.snapshotTime)) < 60_000)
  assert.deepEqual([made.source, made['tables'], made['rows'], made['warnings']], ['said', 2, 101, []])
  const kinds = made.artifacts.map(({ kind }) => kind).sort()
  assert.deepEqual(kinds, ['globals', 'inventory', 'rows', 'schema'])
  for (const { name, bytes, sha256: digest } of made.artifacts) {
    const file = await stored(workshop, made, name)
    assert.deepEqual([file.length, sha256(file)], [bytes, digest], name)
  }
  const { sealedBytes, plainBytes, ratio, durationSeconds } = made as unknown as Record<string, number>
  assert.equal(
    sealedBytes,
    made.artifacts.reduce((sum, { bytes }) => sum + bytes, 0),
  )
  assert.ok(plainBytes !== undefined && plainBytes > 0 && ratio === plainBytes / (sealedBytes ?? 0))
  assert.ok(durationSeconds !== undefined && durationSeconds > 0 && durationSeconds < 60)
  assert.deepEqual(
    [made['repository'], manifestSha256],
    [manifest.repository, sha256(await stored(workshop, made, 'manifest.json'))],
  )
  assert.equal(inventory, null, 'without an identity')

  const { backups } = await read<{ backups: object[] }>(workshop, ['list'])
  assert.deepEqual(backups, [
    {
      id: made.id,
      source: 'said',
      snapshotTime: made.snapshotTime,
      plainBytes,
      sealedBytes,
      keep: [],
      drilled: null,
      held: false,
      recipients: workshop.readers.map(({ fingerprint }) => fingerprint),
      problem: null,
    },
  ])
  const opened = await read<Shown>(workshop, [
    'show',
    'latest',
    '--inventory',
    '--identity',
    workshop.identity(),
  ])
  assert.deepEqual(
    opened.inventory?.tables.map(({ name, rows }) => [name, rows]),
    [
      ['a', 100],
      ['b', 1],
    ],
  )
  const restored = await workshop.json([
    'restore',
    made.id,
    '--to',
    database.restored.url,
    '--identity',
    workshop.identity(),
  ])
  const { ok, id, tables, rows, rolesCreated } = restored
  assert.deepEqual(
    { ok, id, tables, rows, rolesCreated },
    { ok: true, id: made.id, tables: 2, rows: 101, rolesCreated: [] },
  )
})

test('each backup names the one before it by number and digest, each source its own', async () => {
  await using red = await makeDatabase('red')
  await using blue = await makeDatabase('blue')
  await red.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1)`)
  await blue.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (10), (20)`)
  await using workshop = await makeWorkshop({ sources: { red: { url: red.url } } })
  const first = await read<Made>(workshop, ['backup'])
  await workshop.configure({ sources: { red: { url: red.url }, blue: { url: blue.url } } })
  assert.equal(
    (await workshop.error(['backup', 'blue'], 2)).code,
    'ERR_PIN',
    'the keyring lets this host sign for red alone',
  )
  await letHostSignForAll(workshop)

  await red.sql('INSERT INTO t VALUES (2)')
  const { backups, failed } = await read<{ backups: Made[]; failed: unknown[] }>(workshop, ['backup'])
  assert.deepEqual([backups.map(({ source }) => source), failed], [['red', 'blue'], []])
  const all = [first, ...backups]
  const shown = await Promise.all(all.map(({ id }) => read<Shown>(workshop, ['show', id])))
  assert.deepEqual(
    shown.map(({ manifest }) => [manifest.sequence, manifest.previous]),
    [
      [1, null],
      [2, sha256(await stored(workshop, first, 'manifest.json'))],
      [1, null],
    ],
  )
  const verified = await read<{ ok: boolean; backups: { id: string }[] }>(workshop, ['verify', '--all'])
  assert.deepEqual(
    [verified.ok, verified.backups.map(({ id }) => id).sort()],
    [true, all.map(({ id }) => id).sort()],
  )
  const listed = await read<{ backups: { id: string }[] }>(workshop, ['list', 'red'])
  assert.deepEqual(
    listed.backups.map(({ id }) => id),
    [first.id, backups[0]?.id],
  )

  const identity = ['--identity', workshop.identity()]
  assert.equal(
    (await workshop.error(['restore', 'latest', '--to', red.restored.url, ...identity], 2)).code,
    'ERR_USAGE',
    'latest of which?',
  )
  for (const [source, database] of [
    ['red', red],
    ['blue', blue],
  ] as const) {
    await workshop.json(['restore', 'latest', '--source', source, '--to', database.restored.url, ...identity])
    await assertSameDatabase(database.conninfo, database.restored.conninfo)
  }
})

/** The next keyring, signed by the root that init left here, as its holder would make it. */
async function letHostSignForAll({ folder }: Workshop): Promise<void> {
  const store = new DirectoryStore({ root: join(folder, 'repository') })
  const keyring = parseKeyring(await readFile(join(folder, 'repository/keyrings/0001.json')))
  const signers = keyring.signers.map((signer) => ({ ...signer, sources: ['*'] }))
  const root = await readSigningKey(await readFile(join(folder, 'keys/root-secret.asc')))
  const now = new Date()
  await writeKeyring(store, { ...keyring, version: 2, createdAt: now.toISOString(), signers }, root, now)
}
