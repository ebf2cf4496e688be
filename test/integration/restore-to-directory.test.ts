/**
 * `coffre restore --to-directory`: the decrypted files of a backup, for their owner alone, all or none; and the page among
 * them loads them as written, with stock programs, where neither coffre nor gpg's keys are.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, socketFolder, type TestDatabase } from '../support/postgres.ts'
import { shellBlocks, StockMachine } from '../support/stock-procedure.ts'

let database: TestDatabase
let workshop: Workshop
before(async () => {
  database = await makeDatabase('files')
  await database.sql(`CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL);
    INSERT INTO people (name) SELECT md5(n::text) FROM generate_series(1, 2000) n;
    CREATE TABLE "its own" (v text UNIQUE); INSERT INTO "its own" VALUES (E'a\\tb\\\\c'), (NULL), ('\\.');
    CREATE MATERIALIZED VIEW names AS SELECT name FROM people; SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex'));
    COMMENT ON DATABASE "${database.name}" IS 'it''s here'`)
  workshop = await makeWorkshop({ sources: { files: { url: database.url } } })
  await workshop.json(['backup'])
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const words = (directory: string): readonly string[] => [
  'restore',
  'latest',
  '--identity',
  workshop.identity(),
  '--to-directory',
  directory,
]

test('the files are for their owner alone, and LOAD.md among them brings the database back equal', async () => {
  const folder = join(workshop.folder, 'plain')
  const { ok, id, destination, tables, rows, files } = await workshop.json(words('plain'))
  assert.deepEqual([ok, destination, tables, rows], [true, folder, 2, 2003])
  assert.equal(id, JSON.parse(readFileSync(join(folder, 'inventory.json'), 'utf8')).backup)
  const listed = files as readonly { name: string; bytes: number; sha256: string }[]
  const wanted = ['globals.sql', 'inventory.json', 'large-objects.dump', 'rows/0001.sql', 'schema.dump']
  assert.deepEqual(listed.map(({ name }) => name).toSorted(), wanted)
  assert.deepEqual(
    readdirSync(folder, { encoding: 'utf8', recursive: true }).toSorted(),
    [...wanted, 'LOAD.md', 'rows'].toSorted(),
  )
  for (const { name, bytes, sha256 } of listed) {
    const content = readFileSync(join(folder, name))
    assert.equal(content.length, bytes)
    assert.equal(createHash('sha256').update(content).digest('hex'), sha256)
  }
  const mode = (name: string): number => statSync(join(folder, name)).mode & 0o777
  for (const name of ['', 'rows']) assert.equal(mode(name), 0o700, name)
  for (const name of [...wanted, 'LOAD.md']) assert.equal(mode(name), 0o600, name)

  using machine = new StockMachine()
  const blocks = shellBlocks(readFileSync(join(folder, 'LOAD.md'), 'utf8'))
  const variables = { PGHOST: socketFolder(), PGUSER: 'postgres', DATABASE: database.restored.name }
  const { status, said } = await machine.run(blocks, { cwd: folder, variables })
  assert.equal(status, 0, said)
  for (const step of [1, 3, 4, 5, 6, 7, 8, 9]) assert.match(said, new RegExp(`^OK: step ${step}$`, 'm'))
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  assert.ok(!existsSync(folder), 'the decrypted files are gone')
})

test('LOAD.md stops where a file is no longer what coffre wrote', async () => {
  const folder = join(workshop.folder, 'spoilt')
  await workshop.json(words(folder))
  writeFileSync(join(folder, 'rows/0001.sql'), 'DROP DATABASE postgres;\n')
  using machine = new StockMachine()
  const blocks = shellBlocks(readFileSync(join(folder, 'LOAD.md'), 'utf8'))
  const variables = { PGHOST: socketFolder(), PGUSER: 'postgres', DATABASE: `${database.name}_spoilt` }
  const { said } = await machine.run(blocks, { cwd: folder, variables })
  assert.match(said, /rows\/0001\.sql: FAILED/)
  assert.doesNotMatch(said, /OK: step [3-9]/)
})

test('a folder with something in it is refused and left as it is; an empty one is closed to others', async () => {
  const full = join(workshop.folder, 'full')
  mkdirSync(full)
  writeFileSync(join(full, 'notes'), 'mine')
  const { code, message } = await workshop.error(words(full), 1)
  assert.equal(code, 'ERR_DESTINATION')
  assert.match(message, /is not empty: it is left as it is/)
  assert.deepEqual(readdirSync(full), ['notes'])

  const empty = join(workshop.folder, 'empty')
  mkdirSync(empty, { mode: 0o755 })
  await workshop.json(words(empty))
  assert.equal(statSync(empty).mode & 0o777, 0o700)

  const orphan = await workshop.error(words(join(workshop.folder, 'no/such/folder')), 1)
  assert.match(orphan.message, /the folder above it does not exist/)
})

test('options that speak of a database do not go with --to-directory', async () => {
  for (const more of [
    ['--to', database.restored.url],
    ['--to-source', 'files'],
    ['--database', 'd'],
    ['--jobs', '2'],
  ]) {
    const { code, message } = await workshop.error([...words('nowhere'), ...more], 2)
    assert.equal(code, 'ERR_USAGE')
    assert.match(message, new RegExp(`${more[0]} does not go with it`))
  }
  assert.ok(!existsSync(join(workshop.folder, 'nowhere')))
})

test('--not-older-than refuses a backup that is too old, with 5, wherever it was to go', async () => {
  const to = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
  for (const start of [words('old'), to]) {
    const { code, message } = await workshop.error([...start, '--not-older-than', '1s'], 5)
    assert.equal(code, 'ERR_NO_BACKUP')
    assert.match(message, /hours old, and --not-older-than allows/)
  }
  assert.ok(!existsSync(join(workshop.folder, 'old')))
  await workshop.error([...words('old'), '--not-older-than', 'yesterday'], 2)
  await workshop.json([...words('young'), '--not-older-than', '2d'])
})

test('one damaged artifact, and nothing is left: neither files nor the folder', async () => {
  const { id } = await workshop.json(['backup'])
  truncateSync(join(workshop.folder, 'repository/backups/files', String(id), 'rows/0001.sql.zst.gpg'), 500)
  const { code } = await workshop.error(words('damaged'), 8)
  assert.equal(code, 'ERR_DIGEST')
  assert.ok(!existsSync(join(workshop.folder, 'damaged')))
})
