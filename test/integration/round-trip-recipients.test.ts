/**
 * Who can read a backup: each of its recipients alone, with a key coffre made or one that gpg made, and nobody else; and a
 * stranger is turned away before a byte of an artifact is read.
 */
import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeReader, makeWorkshop, runCoffre, type Reader, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import { GnupgHome } from '../unit/openpgp-gnupg.ts'

const passphrase = 'drei Blätter "im" Wind'

/** Made by gpg, with a passphrase; what opens a backup is its subkey. */
function makeRsaReader(name: string): Reader {
  const home = new GnupgHome()
  try {
    const half = (word: string, bits: number, use: string): readonly string[] => [
      `${word}-Type: RSA`,
      `${word}-Length: ${bits}`,
      `${word}-Usage: ${use}`,
    ]
    const fingerprint = home.generateKey([
      ...half('Key', 3072, 'sign'),
      ...half('Subkey', 4096, 'encrypt'),
      'Name-Real: Carla',
      'Name-Email: carla@example.org',
      'Expire-Date: 1y',
      `Passphrase: ${passphrase}`,
    ])
    return {
      name,
      fingerprint,
      publicKey: home.exportPublic(fingerprint).toString(),
      secretKey: home.exportSecret(fingerprint, passphrase).toString(),
    }
  } finally {
    home.close()
  }
}

async function makePeople(): Promise<TestDatabase> {
  const database = await makeDatabase('people')
  await database.sql(`CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO people SELECT n, md5(n::text) FROM generate_series(1, 5000) n; SELECT lo_from_bytea(1, 'portrait')`)
  return database
}

async function restoreAndCompare(
  workshop: Workshop,
  database: TestDatabase,
  options: readonly string[],
): Promise<void> {
  await workshop.json(['restore', 'latest', '--to', database.restored.url, ...options])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  await sql('postgres', `DROP DATABASE "${database.restored.name}"`)
}

test('each of three recipients opens a backup in gzip alone, one of them with a passphrase-protected RSA-4096 key of gpg', async () => {
  await using database = await makePeople()
  const readers = ['alice', 'bob', makeRsaReader('carla')]
  await using workshop = await makeWorkshop({
    sources: { people: { url: database.url } },
    readers,
    more: { compression: { algorithm: 'gzip', level: 6 } },
  })
  const fingerprints = workshop.readers.map(({ fingerprint }) => fingerprint)
  const { artifacts } = (await workshop.json(['backup'])) as { artifacts: { name: string }[] }
  assert.ok(artifacts.length >= 5)
  for (const { name } of artifacts) assert.match(name, /\.gz\.gpg$/)
  const { backups } = (await workshop.json(['list'])) as { backups: { recipients: string[] }[] }
  assert.deepEqual(
    backups.map(({ recipients }) => recipients),
    [fingerprints],
  )

  const right = join(workshop.folder, 'passphrase')
  await writeFile(right, `${passphrase}\n`)
  await restoreAndCompare(workshop, database, ['--identity', workshop.identity(0)])
  await restoreAndCompare(workshop, database, ['--identity', workshop.identity(1)])
  await restoreAndCompare(workshop, database, [
    '--identity',
    workshop.identity(2),
    '--passphrase-file',
    right,
  ])

  const wrong = join(workshop.folder, 'wrong')
  await writeFile(wrong, 'three leaves')
  const restore = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity(2)]
  assert.equal((await workshop.error([...restore, '--passphrase-file', wrong], 7)).code, 'ERR_NO_IDENTITY')
  const unasked = await workshop.error(restore, 7)
  assert.match(`${unasked.message} ${unasked.hint}`, /protected by a passphrase.*--passphrase-file/)
})

test('a stranger is told whose key would do, before a byte of an artifact is read', async () => {
  await using database = await makePeople()
  await using workshop = await makeWorkshop({
    sources: { people: { url: database.url } },
    readers: ['alice', 'bob'],
  })
  const { id } = (await workshop.json(['backup'])) as { id: string }
  const folder = join(workshop.folder, 'repository/backups/people', id)
  const artifacts = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.gpg'))
  assert.ok(artifacts.length >= 5)
  for (const name of artifacts) await rm(join(folder, name))
  const stranger = join(workshop.folder, 'mallory-secret.asc')
  await writeFile(stranger, (await makeReader('mallory')).secretKey, { mode: 0o600 })

  for (const command of [
    ['restore', id, '--to', database.restored.url],
    ['show', id, '--inventory'],
  ]) {
    const { code, message } = await workshop.error([...command, '--identity', stranger], 7)
    assert.equal(code, 'ERR_NO_IDENTITY')
    for (const { fingerprint } of workshop.readers) assert.ok(message.includes(fingerprint), message)
  }
  // With a recipient's key the same command does look for the artifacts, and misses them.
  const show = ['show', id, '--inventory', '--identity', workshop.identity()]
  const { status, stderr } = await runCoffre(show, { cwd: workshop.folder })
  assert.ok(status !== 0 && status !== 7, stderr)
  assert.match(stderr, /inventory\.json\.zst\.gpg/)
  const found = await sql(
    'postgres',
    `SELECT count(*) FROM pg_database WHERE datname ~ '^${database.restored.name}'`,
  )
  assert.equal(found, '0', 'nothing was made')
})
