/**
 * `coffre restore --table` and `--schema`: a part of a backup, with the definitions it needs, into a new database. Every row of
 * it is compared; what had to stay behind is said.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let workshop: Workshop
before(async () => {
  database = await makeDatabase('part')
  await database.sql(`CREATE SCHEMA shop; CREATE SCHEMA "o t"; CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore;
    CREATE TYPE shop.mood AS ENUM ('good', 'bad');
    CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
    CREATE DOMAIN "o t".positive AS int CHECK (shop.twice(VALUE) > 0);
    CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''touched''; RETURN NEW; END';
    CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, boss int REFERENCES customers);
    INSERT INTO customers (name, boss) SELECT 'c' || n, nullif(n / 2, 0) FROM generate_series(1, 300) n;
    CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY, mood shop.mood DEFAULT 'good',
      amount "o t".positive, twice int GENERATED ALWAYS AS (shop.twice(amount)) STORED, customer int REFERENCES customers, note text);
    CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
    CREATE INDEX orders_note ON shop.orders USING gin (note gin_trgm_ops); COMMENT ON TABLE shop.orders IS 'what was bought';
    INSERT INTO shop.orders (amount, customer, note) SELECT n, n % 300 + 1, md5(n::text) FROM generate_series(1, 2000) n;
    CREATE POLICY own ON shop.orders USING (customer IN (SELECT id FROM customers));
    CREATE TABLE shop."lines.of it" (order_id int REFERENCES shop.orders, at int DEFAULT nextval('customers_id_seq'));
    INSERT INTO shop."lines.of it" SELECT id, 1 FROM shop.orders;
    CREATE VIEW shop.totals AS SELECT mood, sum(amount) FROM shop.orders GROUP BY mood;
    CREATE VIEW shop.abroad AS SELECT * FROM customers; CREATE MATERIALIZED VIEW shop.counted AS SELECT count(*) FROM shop.totals;
    CREATE SEQUENCE shop.loose; SELECT setval('shop.loose', 42);
    CREATE TABLE events (day date, n int) PARTITION BY RANGE (day); CREATE INDEX ON events (n);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (n);
    CREATE TABLE events_2_all PARTITION OF events_2 DEFAULT;
    INSERT INTO events SELECT '2026-01-01'::date + n, n FROM generate_series(0, 58) n;
    CREATE TABLE "a b" (v int); CREATE TABLE a (v int); INSERT INTO a VALUES (1), (2); CREATE TABLE public.totals (v int);
    CREATE PUBLICATION all_of_it FOR TABLE customers; SELECT lo_from_bytea(0, 'large')`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  await workshop.coffre(['backup'])
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const inPart = (text: string): Promise<string> => sql(database.restored.name, text)
const words = (...only: readonly string[]): readonly string[] => {
  const to = ['--to', database.restored.url]
  return ['restore', 'latest', ...to, '--identity', workshop.identity(), ...only]
}
async function restorePart(...only: readonly string[]): Promise<Record<string, unknown>> {
  await sql('postgres', `DROP DATABASE IF EXISTS "${database.restored.name}"`)
  return await workshop.json(words(...only))
}

/** Both databases answer the same. */
async function assertSameAnswer(text: string): Promise<void> {
  assert.equal(await inPart(text), await database.sql(text))
}

const relations = `SELECT n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE c.oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'S') AND nspname !~ '^pg_' ORDER BY 1`
const constraints = (table: string): string =>
  `SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '${table}'::regclass ORDER BY 1`
const indexes = (table: string): string =>
  `SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '${table}'::regclass ORDER BY 1`

test('a table comes with its rows, type, default, sequence, index, trigger, comment; what points elsewhere is told', async () => {
  const result = await restorePart('--table', 'shop.orders')
  const { tables, rows, partial, definitionsOnly } = result
  assert.deepEqual([tables, rows, partial, definitionsOnly], [1, 2000, true, []])
  assert.equal(await inPart(relations), 'shop.orders\nshop.orders_id_seq')
  await assertSameAnswer("SELECT md5(string_agg(o::text, E'\\n' ORDER BY id)) FROM shop.orders o")
  await assertSameAnswer('SELECT last_value, is_called FROM shop.orders_id_seq')
  await assertSameAnswer(indexes('shop.orders'))
  await assertSameAnswer(`SELECT obj_description('shop.orders'::regclass)`)
  assert.equal(await inPart(`SELECT extname FROM pg_extension ORDER BY 1`), 'pg_trgm\nplpgsql')
  assert.equal(
    await inPart('UPDATE shop.orders SET amount = 5 WHERE id = 7 RETURNING note, twice'),
    'touched|10',
  )
  assert.equal(await inPart(`INSERT INTO shop.orders (amount) VALUES (1) RETURNING id, mood`), '2007|good')
  const leftOut = result['leftOut'] as readonly string[]
  for (const one of [
    'FK CONSTRAINT shop orders orders_customer_fkey',
    'POLICY shop orders own',
    'FK CONSTRAINT shop lines.of it lines.of it_order_id_fkey',
    'VIEW shop totals',
  ])
    assert.ok(leftOut.includes(one), `${one} in ${leftOut.join('\n')}`)
})

test('foreign keys among the tables that come are there, to themselves and to each other', async () => {
  const { tables, rows } = await restorePart('--table', 'customers', '--table', 'shop.orders')
  assert.deepEqual([tables, rows], [2, 2300])
  for (const table of ['customers', 'shop.orders']) {
    await assertSameAnswer(constraints(table))
    await assertSameAnswer(indexes(table))
  }
  await assertSameAnswer('SELECT polname FROM pg_policy')
  await assertSameAnswer(`SELECT nextval('customers_id_seq')`)
})

test('a default that draws on the sequence of another table brings the empty table along, and says so', async () => {
  const { tables, rows, definitionsOnly } = await restorePart('--table', 'shop."lines.of it"')
  assert.deepEqual([tables, rows, definitionsOnly], [1, 2000, ['TABLE public customers']])
  assert.equal(await inPart('SELECT count(*) FROM customers'), '0')
  assert.match(await inPart('INSERT INTO shop."lines.of it" VALUES (1) RETURNING at'), /^\d+$/)
})

test('a partitioned table comes with all its partitions, a partition with the empty table it belongs to', async () => {
  const all = await restorePart('--table', 'events')
  assert.deepEqual([all['tables'], all['rows'], all['leftOut']], [2, 59, []])
  await assertSameAnswer('SELECT tableoid::regclass, count(*), sum(n) FROM events GROUP BY 1 ORDER BY 1')
  await assertSameAnswer(
    `SELECT relname FROM pg_class WHERE relkind IN ('i', 'I') AND relname LIKE 'events%' ORDER BY 1`,
  )
  const one = await restorePart('--table', 'events_1')
  assert.deepEqual([one['tables'], one['rows'], one['definitionsOnly']], [1, 31, ['TABLE public events']])
  assert.equal(await inPart('SELECT count(*) FROM events'), '31')
})

test('a schema comes with its views, functions and sequences; what looks into another schema stays behind', async () => {
  const { tables, rows, definitionsOnly, leftOut } = await restorePart('--schema', 'shop')
  assert.deepEqual([tables, rows, definitionsOnly], [2, 4000, ['TABLE public customers']])
  await assertSameAnswer('SELECT * FROM shop.totals')
  await assertSameAnswer('SELECT * FROM shop.counted')
  await assertSameAnswer('SELECT last_value FROM shop.loose')
  await assertSameAnswer(constraints('shop."lines.of it"'))
  const left = leftOut as readonly string[]
  assert.ok(left.includes('VIEW shop abroad'), left.join('\n'))
  assert.equal(await inPart('SELECT count(*) FROM pg_largeobject_metadata'), '0')
})

test('a name that means nothing, or two things, is refused; names alike are told apart', async () => {
  const { rows } = await restorePart('--table', 'public.a')
  assert.equal(rows, 2)
  assert.equal(await inPart(relations), 'public.a')
  await sql('postgres', `DROP DATABASE "${database.restored.name}"`)
  for (const [only, message] of [
    [['--table', 'nobody'], /no table nobody/],
    [['--table', 'shop.totals'], /no table shop\.totals/],
    [['--table', 'a.b.c'], /not a name/],
    [['--schema', 'nowhere'], /no schema nowhere/],
  ] as const) {
    const error = await workshop.error(words(...only), 2)
    assert.equal(error.code, 'ERR_USAGE')
    assert.match(error.message, message)
  }
  await database.sql('CREATE TABLE shop.customers (v int)')
  await workshop.coffre(['backup'])
  assert.match(
    (await workshop.error(words('--table', 'customers'), 2)).message,
    /public\.customers, shop\.customers|shop\.customers, public\.customers/,
  )
  await database.sql('DROP TABLE shop.customers')
})
