/**
 * docs/format.md is enough: test/compare/second_reader was written from that page alone, in Python, and shares no code with
 * coffre. It reads what every released version wrote and what this one writes, finds just what is in it, and refuses every
 * damage by the name that the page has for it.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { home, makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'
import { workFolder } from '../support/stock-procedure.ts'
import {
  damagedRepository,
  readDamages,
  readVector,
  vectorNames,
  type Stage,
  type Vector,
} from '../support/vectors.ts'

interface Found {
  readonly backups: readonly {
    readonly id: string
    readonly artifacts: readonly unknown[]
    readonly tables: readonly { readonly schema: string; readonly name: string; readonly rows: number }[]
    readonly sequences: readonly unknown[]
    readonly largeObjects: unknown
  }[]
  readonly refused: Readonly<Partial<Record<Stage, string>>>
  readonly messages: readonly string[]
}

interface Reading {
  readonly root: string
  readonly source: string
  readonly identity: string
  readonly passphrase?: string
  /** Each a folder, or `folder@backup` for one backup in it. */
  readonly repositories: readonly string[]
}

/** One process for all of them, because starting one is most of the work. */
async function readBySecondReader(reading: Reading): Promise<readonly Found[]> {
  using work = workFolder()
  const passphrase = join(work.path, 'passphrase')
  writeFileSync(passphrase, reading.passphrase ?? '', { mode: 0o600 })
  const { root, source, identity, repositories } = reading
  const args = ['-B', join(home, 'test/compare/second_reader'), root, source, identity, passphrase]
  const { stdout } = await promisify(execFile)('python3', [...args, 'pg_restore', ...repositories], {
    maxBuffer: 64 * 1024 * 1024,
  })
  const found = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Found)
  assert.equal(found.length, repositories.length)
  return found
}

async function readOne(reading: Reading): Promise<Found> {
  const [found] = await readBySecondReader(reading)
  return found ?? assert.fail('nothing was read')
}

function identityOf(
  vector: Vector,
  index: number,
): { readonly identity: string; readonly passphrase: string } {
  const { file, passphrase } = vector.identities[index] ?? assert.fail('no such identity')
  return { identity: join(vector.folder, file), passphrase }
}

for (const name of vectorNames()) {
  const vector = readVector(name)
  const { root, source } = vector

  test(`${name}: a reader written from docs/format.md finds in it what is in it, with each identity`, async () => {
    for (const index of vector.identities.keys()) {
      const repositories = [join(vector.folder, 'repository')]
      const found = await readOne({ root, source, ...identityOf(vector, index), repositories })
      assert.deepEqual(found.refused, {}, found.messages.join('\n'))
      assert.equal(found.backups.length, vector.backups.length)
      for (const [place, { id, artifacts, tables, sequences, largeObjects }] of vector.backups.entries()) {
        const backup = found.backups[place]
        assert.deepEqual({ ...backup, tables: [] }, { id, artifacts, tables: [], sequences, largeObjects })
        // `partitioned` is not in an older vector.
        assert.equal(backup?.tables.length, tables.length)
        assert.partialDeepStrictEqual(backup.tables, tables)
      }
    }
  })

  test(`${name}: it refuses every damage, by the name that the page has for it`, async () => {
    await using copies = new AsyncDisposableStack()
    const damages = await Promise.all(
      readDamages(vector).map(async (damage) => {
        const damaged = copies.use(await damagedRepository(vector, damage))
        return { ...damage, place: `${damaged.path}@${damaged.id}` }
      }),
    )
    const repositories = damages.map(({ place }) => place)
    const all = await readBySecondReader({ root, source, ...identityOf(vector, 0), repositories })
    for (const [index, { name: what, expect }] of damages.entries()) {
      const { refused, messages } = all[index] ?? assert.fail(what)
      // Without a key coffre looks at a body's first packet already, this reader only at its bytes.
      const byPacket = expect.use === 'ERR_FORMAT' ? { use: expect.use } : expect
      assert.deepEqual(refused, byPacket, `${what}: ${messages.join('; ')}`)
    }
  })
}

test('what this coffre writes is read by a reader written from docs/format.md: odd names, large objects, sequences', async () => {
  await using database = await makeDatabase('second')
  await database.sql(String.raw`
    CREATE SCHEMA "odd ""one"" \ ö.";
    CREATE TABLE "odd ""one"" \ ö."."a table's
    COPY x FROM stdin;" ("id, (1)" bigserial, "ñ"";--" text, plain text);
    INSERT INTO "odd ""one"" \ ö."."a table's
    COPY x FROM stdin;" ("ñ"";--", plain)
      SELECT repeat(E'\\.\n\t', n), CASE WHEN n % 3 = 0 THEN NULL ELSE repeat('ü', n) END FROM generate_series(1, 120) n;
    CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
    CREATE TABLE empty (n int);
    CREATE TABLE generated (n int, twice int GENERATED ALWAYS AS (n * 2) STORED); INSERT INTO generated VALUES (21);
    CREATE SEQUENCE "it's \ ""quoted""" INCREMENT -3 MAXVALUE 5 MINVALUE -90; SELECT nextval('"it''s \ ""quoted"""');
    SELECT nextval('"it''s \ ""quoted"""'); CREATE SEQUENCE untouched;
    SELECT lo_from_bytea(0, ''), lo_from_bytea(0, '\x00ff5c'), lo_from_bytea(0, convert_to(repeat('x', 1048576), 'UTF8'))`)
  await using workshop = await makeWorkshop({
    sources: { second: { url: database.url } },
  })
  await workshop.json(['backup'])
  await database.sql('INSERT INTO empty VALUES (1)')
  await workshop.json(['backup'])
  const found = await readOne({
    root: (workshop.config['trust'] as { root: string }).root,
    source: 'second',
    identity: workshop.identity(),
    repositories: [join(workshop.folder, 'repository')],
  })
  assert.deepEqual(found.refused, {}, found.messages.join('\n'))
  const [first, second] = found.backups
  assert.ok(first !== undefined && second !== undefined && found.backups.length === 2)
  const rowsOf = ({ tables }: typeof first): readonly number[] => tables.map(({ rows }) => rows)
  assert.deepEqual(
    first.tables.map(({ name }) => name),
    ["a table's\n    COPY x FROM stdin;", 'empty', 'generated', 'nothing'],
  )
  assert.deepEqual(rowsOf(first), [120, 0, 1, 2])
  assert.deepEqual(rowsOf(second), [120, 1, 1, 2])
  assert.partialDeepStrictEqual(first.sequences, [
    { schema: 'odd "one" \\ ö.', lastValue: '120', isCalled: true },
    { schema: 'public', name: 'it\'s \\ "quoted"', lastValue: '2', isCalled: true },
    { schema: 'public', name: 'untouched', lastValue: '1', isCalled: false },
  ])
  assert.partialDeepStrictEqual(first.largeObjects, { objects: 3, rows: 4 })
})
