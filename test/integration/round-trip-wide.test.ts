/** Values so wide that programs along the way run out of something, and rows so wide that each has a page of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'
import { goesRound } from '../support/round-trip.ts'

const megabyte = 1_000_000

/** Out of long pieces, since the server puts a value together piece by piece. */
const wide = (piece: string, megabytes: number): string =>
  `convert_to(repeat(repeat(${piece}, ${megabyte / 10}), ${megabytes}), 'UTF8')`

test('a value of 200 MB comes back', async () => {
  await using database = await makeDatabase('wide')
  await database.sql(`CREATE TABLE documents (name text, scan bytea COMPRESSION lz4);
    INSERT INTO documents VALUES ('small', '\\x00'), ('large', ${wide(`E'\\n\\\\0123456:'`, 200)})`)
  assert.equal(await database.sql('SELECT max(octet_length(scan)) FROM documents'), String(200 * megabyte))
  const { rows } = await goesRound(database)
  assert.equal(rows, 2)
})

test('a value of 600 MB, which no dump can hold, fails the backup; it is named, and nothing is lost', async () => {
  await using database = await makeDatabase('too_wide')
  await database.sql(`CREATE SCHEMA "the archive"; CREATE TABLE "the archive".scans (name text, scan bytea COMPRESSION lz4);
    CREATE TABLE other (id int); INSERT INTO other VALUES (1)`)
  await using workshop = await makeWorkshop({ sources: { too_wide: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  await database.sql(`INSERT INTO "the archive".scans VALUES ('all of it', ${wide(`'0123456789'`, 600)})`)
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_POSTGRES')
  assert.match(message, /^the table "the archive"\."scans" could not be read: .*invalid memory alloc request/)
  assert.match(hint, /octet_length.*large objects/)
  const { backups } = await workshop.json(['list'])
  assert.deepEqual(
    (backups as { id: string }[]).map((one) => one.id),
    [id],
  )
  // Two values that go, in a row that does not.
  await database.sql(`TRUNCATE "the archive".scans; CREATE TABLE pairs (a bytea COMPRESSION lz4, b bytea COMPRESSION lz4);
    INSERT INTO pairs SELECT half, half FROM (SELECT ${wide(`'0123456789'`, 300)} AS half OFFSET 0) q`)
  const pair = await workshop.error(['backup'], 1)
  assert.match(pair.message, /^the table "public"\."pairs" could not be read: .*out of memory/)
  assert.equal(pair.hint, hint)
})

test('a table of one row a page is cut into slices that together hold every row', async () => {
  await using database = await makeDatabase('airy')
  await database.sql(`CREATE UNLOGGED TABLE readings (id int, t text) WITH (fillfactor = 10);
    INSERT INTO readings SELECT n, repeat(chr(65 + n % 26), 900) FROM generate_series(1, 13000) n`)
  assert.equal(await database.sql(`SELECT pg_relation_size('readings') / 8192`), '13000')
  const { artifacts } = await goesRound(database)
  assert.equal(artifacts.filter(({ kind }) => kind === 'rows').length, 2)
})
