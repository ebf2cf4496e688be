/** What a restored database is like besides its rows: views filled, statistics there, its name; and what stops a restore. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { conninfoOf, makeDatabase, sql, urlOf } from '../support/postgres.ts'

test('a stale materialized view comes back fresh, which is no difference; the planner knows the new tables', async () => {
  await using database = await makeDatabase('stale')
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2);
    CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS rows FROM t; CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS one WITH NO DATA;
    CREATE MATERIALIZED VIEW above AS SELECT rows FROM seen; INSERT INTO t VALUES (3)`)
  await using workshop = await makeWorkshop({ sources: { stale: { url: database.url } } })
  await workshop.json(['backup'])
  const { warnings } = await workshop.json([
    'restore',
    'latest',
    '--to',
    database.restored.url,
    '--identity',
    workshop.identity(),
  ])
  assert.deepEqual(warnings, [])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  const views = `SELECT (SELECT rows FROM seen), (SELECT rows FROM above), (SELECT relispopulated FROM pg_class WHERE relname = 'unfilled')`
  assert.equal(await database.sql(views), '2|2|f')
  assert.equal(await sql(database.restored.name, views), '3|3|f')
  const known = `SELECT n_distinct FROM pg_stats WHERE tablename = 't' AND attname = 'id'`
  assert.equal(await sql(database.restored.name, known), '-1')
})

test('a definition that the server refuses ends the restore there and then, and nothing is left behind', async () => {
  await using database = await makeDatabase('refusing')
  const trace = join(await mkdtemp(join(tmpdir(), 'coffre-test-trace-')), 'trace')
  await chmod(dirname(trace), 0o777)
  // Materialized views are filled after the indexes.
  await database.sql(`CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS $$ BEGIN COPY (SELECT 1) TO '${trace}'; RETURN 1; END $$;
    CREATE MATERIALIZED VIEW later AS SELECT leave()`)
  await rm(trace)
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    CREATE INDEX ON t (f(id)); CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 0'`)
  await using workshop = await makeWorkshop({ sources: { refusing: { url: database.url } } })
  await workshop.json(['backup'])
  const to = ['--to', database.restored.url, '--jobs', '1']
  const { code, message } = await workshop.error(
    ['restore', 'latest', ...to, '--identity', workshop.identity()],
    1,
  )
  assert.equal(code, 'ERR_POSTGRES')
  assert.match(message, /pg_restore .*division by zero/s)
  assert.ok(!existsSync(trace), 'the restore went on')
  await rm(dirname(trace), { recursive: true })
  const left = `SELECT count(*) FROM pg_database WHERE datname LIKE '${database.name}\\_%'`
  assert.equal(await sql('postgres', left), '0')
})

test('roles that a failed restore has made stay, and are named', async () => {
  const role = `survivor_${process.pid}`
  await using database = await makeDatabase('outlived')
  await database.sql(`CREATE ROLE ${role}; CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO ${role};
    CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'; CREATE INDEX ON t (f(id));
    CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 0'`)
  await using workshop = await makeWorkshop({ sources: { outlived: { url: database.url } } })
  await workshop.json(['backup'])
  await sql('postgres', `DROP DATABASE "${database.name}"`)
  await sql('postgres', `DROP ROLE ${role}`)
  const restore = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
  const { stderr } = await workshop.coffre(restore, { status: 1 })
  assert.match(stderr, new RegExp(`created the missing roles ${role}\\n`))
  assert.match(stderr, /division by zero/)
  await sql('postgres', `DROP ROLE ${role}`)
})

test('a database whose name has 63 bytes, in characters of four, is restored, and replaced', async () => {
  await using database = await makeDatabase('long')
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1)`)
  const name = `x${'🏢'.repeat(15)}ab`
  const restore = ['restore', 'latest', '--to', urlOf(name), '--identity']
  let kept = ''
  try {
    await using workshop = await makeWorkshop({ sources: { long: { url: database.url } } })
    await workshop.json(['backup'])
    await workshop.json([...restore, workshop.identity()])
    await assertSameDatabase(database.conninfo, conninfoOf(name))
    const { replaced } = await workshop.json([...restore, workshop.identity(), '--replace'])
    kept = String(replaced)
    assert.match(kept, /^x🏢{9}_replaced_[0-9a-f]{12}$/u)
    assert.equal(await sql(kept, 'SELECT count(*) FROM t'), '1')
  } finally {
    for (const one of [name, kept].filter((one) => one !== ''))
      await sql('postgres', `DROP DATABASE IF EXISTS "${one}" WITH (FORCE)`)
  }
})
