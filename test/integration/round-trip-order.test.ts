/**
 * Rows that PostgreSQL takes only in some order, or only through another table: hashes of enums, functions that look at other
 * tables, foreign keys among an extension's tables. Each comes back by coffre, and by stock programs alone.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase, sql } from '../support/postgres.ts'
import { restoreByStock } from '../support/restore-by-stock.ts'

test('a table partitioned by the hash of an enum comes back, though its rows belong to other partitions there', async () => {
  await using database = await makeDatabase('hashed')
  const labels = Array.from({ length: 40 }, (_, n) => `'label ${n}'`).join(', ')
  await database.sql(`
    CREATE TYPE colour AS ENUM (${labels});
    CREATE TABLE paints (c colour, n int, twice int GENERATED ALWAYS AS (n * 2) STORED) PARTITION BY HASH (c);
    CREATE TABLE paints_0 PARTITION OF paints FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE paints_1 PARTITION OF paints FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (n);
    CREATE TABLE paints_1_low PARTITION OF paints_1 FOR VALUES FROM (MINVALUE) TO (50);
    CREATE TABLE paints_1_high (n int, c colour, twice int GENERATED ALWAYS AS (n * 2) STORED); ALTER TABLE paints_1 ATTACH PARTITION paints_1_high FOR VALUES FROM (50) TO (MAXVALUE);
    INSERT INTO paints (c, n) SELECT l, n FROM unnest(enum_range(NULL::colour)) l, generate_series(1, 100) n;
    CREATE TABLE lists (l colour[]) PARTITION BY HASH (l);
    CREATE TABLE lists_0 PARTITION OF lists FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE lists_1 PARTITION OF lists FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO lists SELECT ARRAY[l, NULL] FROM unnest(enum_range(NULL::colour)) l;
    CREATE TABLE by_year (y int, c colour) PARTITION BY RANGE (y);
    CREATE TABLE by_year_1 PARTITION OF by_year FOR VALUES FROM (0) TO (9) PARTITION BY HASH (c);
    CREATE TABLE by_year_1_0 PARTITION OF by_year_1 FOR VALUES WITH (MODULUS 3, REMAINDER 0);
    CREATE TABLE by_year_1_1 PARTITION OF by_year_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
    CREATE TABLE by_year_1_2 PARTITION OF by_year_1 FOR VALUES WITH (MODULUS 3, REMAINDER 2);
    INSERT INTO by_year SELECT 1, l FROM unnest(enum_range(NULL::colour)) l;`)
  await using workshop = await makeWorkshop({ sources: { hashed: { url: database.url } } })
  const { id, tables, rows, warnings } = await workshop.json(['backup'])
  assert.deepEqual([tables, rows, warnings], [3, 4080, []])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  const places = `SELECT count(DISTINCT tableoid), sum(twice) FROM paints`
  assert.equal(await sql(database.restored.name, places), '3|404000')

  await sql('postgres', `DROP DATABASE "${database.restored.name}"`)
  await restoreByStock(workshop, { source: 'hashed', id, database: database.restored.name })
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

test('rows that functions of CHECK constraints and generated columns compare with other tables come back', async () => {
  await using database = await makeDatabase('checked')
  await database.sql(`
    CREATE TABLE z_last (id int); INSERT INTO z_last SELECT generate_series(1, 5);
    CREATE FUNCTION known(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.z_last WHERE id = $1)';
    CREATE TABLE a_first (id int CHECK (known(id))); INSERT INTO a_first SELECT generate_series(1, 5);
    CREATE FUNCTION in_a(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.a_first WHERE id = $1)';
    CREATE DOMAIN known_to_a AS int CHECK (in_a(VALUE));
    CREATE TABLE "0 before" (id known_to_a, wide text); INSERT INTO "0 before" SELECT n, repeat('x', 9000) FROM generate_series(1, 5) n;
    CREATE FUNCTION looked_up(int) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT 10 / count(*) FROM public."0 before" WHERE id = $1';
    CREATE TABLE "0 even before" (id int, found bigint GENERATED ALWAYS AS (looked_up(id)) STORED); INSERT INTO "0 even before" SELECT generate_series(1, 5);`)
  await using workshop = await makeWorkshop({ sources: { checked: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  await sql('postgres', `DROP DATABASE "${database.restored.name}"`)
  await restoreByStock(workshop, { source: 'checked', id, database: database.restored.name })
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

test('rows that no order brings in fail the restore with what the server says, and nothing is left behind', async () => {
  await using database = await makeDatabase('refused')
  await database.sql(`CREATE TABLE allowed (ok bool); INSERT INTO allowed VALUES (true); CREATE TABLE other AS SELECT 1 AS one;
    CREATE FUNCTION is_allowed() RETURNS bool LANGUAGE sql AS 'SELECT count(*) = 1 FROM public.allowed WHERE ok';
    CREATE TABLE t (id int CHECK (is_allowed())); INSERT INTO t VALUES (1); UPDATE allowed SET ok = false`)
  await using workshop = await makeWorkshop({ sources: { refused: { url: database.url } } })
  await workshop.json(['backup'])
  const restore = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
  const { code, message } = await workshop.error(restore, 1)
  assert.equal(code, 'ERR_POSTGRES')
  assert.match(message, /23514: new row for relation "t" violates check constraint/)
  const left = `SELECT count(*) FROM pg_database WHERE datname LIKE '${database.name}\\_%'`
  assert.equal(await sql('postgres', left), '0')
})
