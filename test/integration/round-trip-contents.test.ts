/** What a database may hold at its oddest, each thing small: names, values, kinds of tables, sequences, large objects, an encoding. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'

interface Made {
  readonly tables: number
  readonly rows: number
  readonly artifacts: readonly { readonly name: string; readonly kind: string }[]
}

/** Backs up, restores beside it, and has the examiner compare the two. */
async function goesRound(database: TestDatabase): Promise<Made> {
  await using workshop = await makeWorkshop({ sources: { odd: { url: database.url } } })
  const made = await workshop.json(['backup'])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  return made as unknown as Made
}

/** Without the quotes. In SQL it is written by format('%I'), which is PostgreSQL's own quoting. */
const oddNames = [
  'two words',
  'a "quoted" one',
  "an ' apostrophe",
  'back\\slash',
  'two\nlines',
  '\\.',
  'a\n\\.\nb',
  '; DROP TABLE people; --',
  ':colon :"x" $1 %s {}',
  '🏢 étage',
  'select',
  '\ttab',
  '$$',
  'x'.repeat(63),
] as const

test('names with quotes, newlines, backslashes and emoji', async () => {
  await using database = await makeDatabase('names')
  const literals = oddNames.map((name) => `E'${name.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
  await database.sql(`DO $do$
    DECLARE name text;
    BEGIN
      FOREACH name IN ARRAY ARRAY[${literals.join(', ')}] LOOP
        EXECUTE format('CREATE SCHEMA %I', name);
        EXECUTE format('CREATE TABLE %I.%I (%I text, "plain" int GENERATED ALWAYS AS IDENTITY)', name, name, name);
        EXECUTE format('INSERT INTO %I.%I (%I) VALUES (%L), (NULL)', name, name, name, name);
        EXECUTE format('CREATE SEQUENCE %I.%I', name, 'seq ' || left(name, 50));
        EXECUTE format('COMMENT ON TABLE %I.%I IS %L', name, name, name);
      END LOOP;
    END $do$`)
  const { tables, rows } = await goesRound(database)
  assert.deepEqual([tables, rows], [oddNames.length, 2 * oddNames.length])
})

test('values that COPY must write in its own way', async () => {
  await using database = await makeDatabase('values')
  await database.sql(`
    CREATE TABLE texts (id int, t text);
    INSERT INTO texts VALUES (1, NULL), (2, ''), (3, E'\\\\N'), (4, E'\\\\.'), (5, E'a\\n\\\\.\\nb'), (6, E'\\t\\n\\r\\b\\f\\v\\\\'),
      (7, E'\\\\.\\n'), (8, 'NULL'), (9, '🏢é' || repeat('x', 3000000)), (10, E'\\x7f\\x01'), (11, repeat(E'\\n', 70000));
    CREATE TABLE lone (t text); -- one column only: a line that is nothing but the value
    INSERT INTO lone SELECT t FROM texts;
    CREATE TABLE bytes (b bytea, bits varbit);
    INSERT INTO bytes VALUES ('', ''), ('\\x00', '0'), ('\\x5c2e0a', '101'), (decode(repeat('00ff0a5c', 500000), 'hex'), NULL);
    CREATE TABLE numbers (f4 real, f8 double precision, n numeric);
    INSERT INTO numbers VALUES ('NaN', 'NaN', 'NaN'), ('inf', '-inf', 'inf'), ('-0', '-0', 0.000), (1e-37, 5e-324, 1e-1000), (0.1, 0.1::float8 + 0.2, 9e999);
    CREATE TABLE times (d date, t timestamp, z timestamptz, i interval, o timetz);
    INSERT INTO times VALUES ('0044-03-15 BC', '4713-01-01 00:00:00 BC', '0001-12-31 23:59:59.999999+15 BC', '-1 mons +2 days -03:04:05.000006', '23:59:60-15:59'),
      ('infinity', '-infinity', 'infinity', '178000000 years', '00:00+00'), ('294276-12-31', '294276-12-31 23:59:59', 'epoch', '0', NULL);
    CREATE TABLE documents (j json, b jsonb, x xml, a text[], r int4range[]);
  `)
  await database.sql(`
    INSERT INTO documents VALUES ('{"a" : 1, "a":2 }', '{"a\\u005cb": [null, 1e400, "\\"\\\\\\n"], "": {}}', '<a b="c">&amp;</a> text',
      ARRAY[NULL, 'NULL', '', 'a,b', '{}', E'"\\\\'], ARRAY['empty'::int4range, '(,5)', '[7,)']), ('null', 'null', '', '{}', '{}');
    INSERT INTO documents (a) VALUES ('[0:1][5:6]={{a,b},{c,d}}');
    ALTER DATABASE "${database.name}" SET bytea_output = 'escape';
    ALTER DATABASE "${database.name}" SET standard_conforming_strings = off;
    ALTER DATABASE "${database.name}" SET extra_float_digits = -3;
    ALTER DATABASE "${database.name}" SET xmloption = 'document';
    ALTER DATABASE "${database.name}" SET datestyle = 'German';
    ALTER DATABASE "${database.name}" SET client_encoding = 'LATIN1';`)
  await goesRound(database)
})

test('tables of every kind', async () => {
  await using database = await makeDatabase('kinds')
  await database.sql(`
    CREATE TABLE no_columns (); INSERT INTO no_columns SELECT FROM generate_series(1, 7);
    CREATE TABLE empty (id int, t text);
    CREATE TABLE once_had (gone int, kept int); INSERT INTO once_had VALUES (1, 2); ALTER TABLE once_had DROP COLUMN gone;
    CREATE TABLE only_dropped (gone int); INSERT INTO only_dropped VALUES (1), (2); ALTER TABLE only_dropped DROP COLUMN gone;
    CREATE TABLE only_generated (g int GENERATED ALWAYS AS (42) STORED); INSERT INTO only_generated DEFAULT VALUES;
    CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int); INSERT INTO generated VALUES (1, DEFAULT, 3), (NULL, DEFAULT, 4);
    CREATE TABLE identities (a int GENERATED ALWAYS AS IDENTITY, b int GENERATED BY DEFAULT AS IDENTITY (START 5 INCREMENT -2 MINVALUE -100 MAXVALUE 5), t text);
    INSERT INTO identities (t) SELECT 'x' FROM generate_series(1, 10);
    CREATE UNLOGGED TABLE unlogged (id serial, t text); INSERT INTO unlogged (t) VALUES ('kept while nothing crashes');
    CREATE TABLE parent (a int, b text); CREATE TABLE child (own int) INHERITS (parent); ALTER TABLE parent ADD COLUMN later text;
    CREATE TABLE grandchild () INHERITS (child);
    INSERT INTO parent VALUES (1, 'p', 'l'); INSERT INTO child VALUES (2, 'c', 7, 'm'), (2, 'c', 7, 'm'); INSERT INTO grandchild VALUES (3, 'g', 8, NULL);
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TABLE by_range (at date, t text) PARTITION BY RANGE (at);
    CREATE TABLE by_range_1 PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
    CREATE TABLE by_range_2 (t text, at date); ALTER TABLE by_range ATTACH PARTITION by_range_2 FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
    CREATE TABLE by_range_rest PARTITION OF by_range DEFAULT PARTITION BY LIST (t);
    CREATE TABLE by_range_rest_x PARTITION OF by_range_rest FOR VALUES IN ('x', NULL);
    INSERT INTO by_range VALUES ('1999-12-31', 'a'), ('2020-01-01', 'b'), ('2031-01-01', 'x'), ('2032-01-01', NULL);
    CREATE TABLE by_number (id int, t text) PARTITION BY HASH (id);
    CREATE TABLE by_number_0 PARTITION OF by_number FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE by_number_1 PARTITION OF by_number FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO by_number SELECT n, 'h' FROM generate_series(1, 50) n;
    CREATE TYPE mood_row AS (at date, mood mood); CREATE TABLE typed OF mood_row; INSERT INTO typed VALUES ('2020-02-29', 'ok');
  `)
  await database.sql(`
    CREATE TABLE checked (id int PRIMARY KEY, parent int REFERENCES checked DEFERRABLE INITIALLY DEFERRED, CHECK (id > 0)); INSERT INTO checked VALUES (1, 2), (2, 1);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no row may come in'; END $$;
    CREATE TABLE guarded (id int); INSERT INTO guarded VALUES (1); CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TABLE ruled (id int); INSERT INTO ruled VALUES (1); CREATE RULE nothing AS ON INSERT TO ruled DO INSTEAD NOTHING;
    CREATE MATERIALIZED VIEW filled AS SELECT count(*) FROM parent; CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
    CREATE SEQUENCE never_called; CREATE SEQUENCE called; SELECT nextval('called'); CREATE SEQUENCE set_only; SELECT setval('set_only', 41, false);
    CREATE SEQUENCE down INCREMENT -1 MAXVALUE -1 MINVALUE -9223372036854775807; SELECT setval('down', -9223372036854775807);
    CREATE SEQUENCE up MAXVALUE 9223372036854775807; SELECT setval('up', 9223372036854775807);
    CREATE SEQUENCE small AS smallint CYCLE CACHE 20; SELECT nextval('small'); SELECT setval('down', -5, true);`)
  const { artifacts } = await goesRound(database)
  assert.ok(
    artifacts.every(({ kind }) => kind !== 'large-objects'),
    'there are none',
  )
})

test('large objects of odd sizes, with their owners, rights and comments', async () => {
  await using database = await makeDatabase('objects')
  const sizes = [0, 1, 2047, 2048, 2049, 1048575, 1048576, 1048577, 2621440]
  await database.sql(`
    SELECT lo_from_bytea(1000 + n::int, decode(repeat(md5(n::text), (size / 16) + 1), 'hex')) FROM unnest(ARRAY[${sizes.join(', ')}]) WITH ORDINALITY AS s (size, n);
    DO $$ DECLARE s record; fd int; BEGIN
      FOR s IN SELECT size, n FROM unnest(ARRAY[${sizes.join(', ')}]) WITH ORDINALITY AS s (size, n) LOOP
        fd := lo_open(1000 + s.n::int, 131072); PERFORM lo_truncate(fd, s.size); PERFORM lo_close(fd);
      END LOOP; END $$;
    SELECT lo_create(2000); -- a hole: what was never written reads as zeros
    SELECT lo_put(2000, 3000000, 'the end');
    COMMENT ON LARGE OBJECT 2000 IS 'with a hole'; GRANT SELECT ON LARGE OBJECT 2000 TO PUBLIC; ALTER LARGE OBJECT 1001 OWNER TO pg_monitor;`)
  const { artifacts, tables } = await goesRound(database)
  assert.deepEqual([artifacts.filter(({ kind }) => kind === 'large-objects').length, tables], [1, 0])
  const lengths = await sql(
    database.restored.name,
    `SELECT length(lo_get(oid)) FROM pg_largeobject_metadata WHERE oid < 2000 ORDER BY oid`,
  )
  assert.deepEqual(lengths.split('\n').map(Number), sizes)
})

test('a large table with holes is cut into slices that together hold every row', async () => {
  await using database = await makeDatabase('sliced')
  await database.sql(`CREATE TABLE readings (id int, t text, raw text);
    INSERT INTO readings SELECT n, md5(n::text), repeat('x', 900) FROM generate_series(1, 150000) n;
    DELETE FROM readings WHERE id BETWEEN 40000 AND 75000 OR id % 97 = 0 OR id > 149000; UPDATE readings SET t = 'moved' WHERE id % 31 = 0;
    INSERT INTO readings SELECT id, t, raw FROM readings WHERE id < 500`)
  const { artifacts } = await goesRound(database)
  assert.ok(artifacts.filter(({ kind }) => kind === 'rows').length >= 2, JSON.stringify(artifacts))
})

test('a database in LATIN1, with names and values beyond ASCII', async () => {
  await using database = await makeDatabase(
    'latin',
    undefined,
    `ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
  )
  await database.sql(`SET client_encoding = 'UTF8';
    CREATE SCHEMA "Gebäude"; CREATE TABLE "Gebäude"."Maße" ("größe" numeric, "Straße" text); CREATE SEQUENCE "Gebäude"."zähler";
    INSERT INTO "Gebäude"."Maße" VALUES (1.5, 'Königsallee'), (2.5, E'é\\n\\\\.\\nñ'), (NULL, 'ÿ ¿');
    COMMENT ON TABLE "Gebäude"."Maße" IS 'Größe à la carte'; SELECT nextval('"Gebäude"."zähler"');
    CREATE FUNCTION "Gebäude"."zähle"() RETURNS text LANGUAGE sql AS $$ SELECT 'für'::text $$`)
  const { rows } = await goesRound(database)
  assert.equal(rows, 3)
  const encoding = `SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()`
  assert.equal(await sql(database.restored.name, encoding), 'LATIN1')
})
