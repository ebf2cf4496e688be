/**
 * A server that puts rows into other partitions than the source did, because it hashes or sorts their keys otherwise
 * (another collation library, another architecture; hazard 18): nothing is lost, and what can be compared is. Here it is an
 * operator class whose hash depends on the database's name, which no two databases have in common.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let workshop: Workshop

before(async () => {
  database = await makeDatabase('hashed')
  await database.sql(`
    CREATE FUNCTION public.hash_here(text, int8) RETURNS int8 LANGUAGE sql IMMUTABLE
      AS $$ SELECT pg_catalog.hashtextextended($1 || pg_catalog.current_database()::pg_catalog.text, $2) $$;
    CREATE OPERATOR CLASS here FOR TYPE text USING hash AS OPERATOR 1 =, FUNCTION 2 public.hash_here(text, int8);
    CREATE TABLE parts (k text, n int) PARTITION BY HASH (k here);
    CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY HASH (k here);
    CREATE TABLE parts_10 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE parts_12 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 4, REMAINDER 2);
    CREATE TABLE parts_13 PARTITION OF parts_1 FOR VALUES WITH (MODULUS 4, REMAINDER 0);
    CREATE TABLE other (n int);
    INSERT INTO other SELECT generate_series(1, 100);
    INSERT INTO parts SELECT md5(n::text), n FROM generate_series(1, 5000) n`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

async function restored(status: number): Promise<Readonly<Record<string, unknown>>> {
  const to = ['--to', database.restored.url, '--replace', '--drop-replaced']
  return await workshop.json(['restore', 'latest', ...to, '--identity', workshop.identity()], { status })
}

const content = (table: string): string =>
  `SELECT count(*) || ' ' || sum(hashtextextended(k || ' ' || n, 0)::numeric) FROM ${table}`

test('rows that the server wants in other partitions are loaded by way of the root, compared there, and none is lost', async () => {
  await workshop.coffre(['backup'])
  const { rows, warnings } = await restored(0)
  assert.equal(rows, 5100)
  assert.deepEqual(warnings, [])
  assert.equal(await sql(database.restored.name, content('parts')), await database.sql(content('parts')))
  assert.notEqual(
    await sql(database.restored.name, content('ONLY parts_0')),
    await database.sql(content('ONLY parts_0')),
  )
})

test('where partitions have their columns in different orders, their rows are counted, and it is said that this is all', async () => {
  await database.sql(`CREATE TABLE mixed (k text, n int) PARTITION BY HASH (k here);
    CREATE TABLE mixed_0 PARTITION OF mixed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE mixed_1 (n int, k text); ALTER TABLE mixed ATTACH PARTITION mixed_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO mixed SELECT md5(n::text), n FROM generate_series(1, 1000) n`)
  await workshop.coffre(['backup'])
  const { warnings } = (await restored(3)) as { warnings: readonly string[] }
  assert.equal(warnings.length, 1, String(warnings))
  assert.match(warnings[0] ?? '', /"mixed".* as many rows .*not comparable: .*different orders/)
  assert.equal(await sql(database.restored.name, content('mixed')), await database.sql(content('mixed')))
})
