/** Extensions with tables of their own, whose foreign keys are there before any row is. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { startExtendedServer } from '../support/extended-server.ts'
import type { OwnServer } from '../support/own-server.ts'
import { makeDatabase, sql } from '../support/postgres.ts'
import { restoreByStock } from '../support/restore-by-stock.ts'

const registered = (...names: readonly string[]): string =>
  names.map((name) => `SELECT pg_catalog.pg_extension_config_dump('${name}', '');`).join('\n')

const extensions = {
  coffre_configured: `
    CREATE TABLE z_trunk (id int PRIMARY KEY, twin int REFERENCES z_trunk);
    CREATE TABLE m_branch (id int PRIMARY KEY, trunk int NOT NULL REFERENCES z_trunk);
    CREATE TABLE a_leaf (id int, branch int REFERENCES m_branch);
    CREATE TABLE left_hand (id int PRIMARY KEY, other int);
    CREATE TABLE right_hand (id int PRIMARY KEY, other int REFERENCES left_hand);
    ALTER TABLE left_hand ADD FOREIGN KEY (other) REFERENCES right_hand DEFERRABLE INITIALLY DEFERRED;
    CREATE TABLE built_in (id int PRIMARY KEY); INSERT INTO built_in VALUES (1), (2);
    CREATE TABLE some_own (id int REFERENCES built_in, own bool); INSERT INTO some_own VALUES (1, false);
    CREATE SEQUENCE counted; CREATE SEQUENCE not_counted;
    ${registered('a_leaf', 'm_branch', 'z_trunk', 'left_hand', 'right_hand', 'counted')}
    SELECT pg_catalog.pg_extension_config_dump('some_own', 'WHERE own');`,
  coffre_circular: `
    CREATE TABLE hen (id int PRIMARY KEY, egg int); CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen);
    ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg;
    ${registered('hen', 'egg')}`,
  // By name alone, as the real ones cannot be had everywhere.
  timescaledb: 'CREATE TABLE chunks (id int);',
  citus: 'CREATE TABLE shards (id int);',
}

let extended: OwnServer
before(async () => {
  extended = await startExtendedServer(extensions)
})
after(() => extended[Symbol.asyncDispose]())

test('rows of an extension’s tables come back in the order their foreign keys ask for', async () => {
  await using database = await makeDatabase('configured', extended.server)
  await database.sql(`CREATE EXTENSION coffre_configured; INSERT INTO z_trunk VALUES (2, 1), (1, 2);
    INSERT INTO m_branch SELECT n, 1 + n % 2 FROM generate_series(1, 500) n; INSERT INTO a_leaf SELECT n, n FROM generate_series(1, 500) n;
    BEGIN; INSERT INTO left_hand VALUES (1, 1); INSERT INTO right_hand VALUES (1, 1); COMMIT; INSERT INTO some_own VALUES (2, true); SELECT setval('counted', 42)`)
  await using workshop = await makeWorkshop({ sources: { configured: { url: database.url } } })
  const { id, rows, warnings } = await workshop.json(['backup'])
  assert.deepEqual([rows, warnings], [1005, []])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  assert.equal(await sql(database.restored.name, 'SELECT last_value FROM counted', [], extended.server), '42')

  await sql('postgres', `DROP DATABASE "${database.restored.name}"`, [], extended.server)
  await restoreByStock(workshop, {
    source: 'configured',
    id,
    database: database.restored.name,
    server: extended.server,
  })
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

test('a sequence that its extension did not register stays as the extension makes it', async () => {
  await using database = await makeDatabase('unregistered', extended.server)
  await database.sql(
    `CREATE EXTENSION coffre_configured; SELECT setval('counted', 42), setval('not_counted', 42)`,
  )
  await using workshop = await makeWorkshop({ sources: { unregistered: { url: database.url } } })
  await workshop.json(['backup'])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  const values = `SELECT counted.last_value, not_counted.last_value, not_counted.is_called FROM counted, not_counted`
  assert.equal(await sql(database.restored.name, values, [], extended.server), '42|1|f')
})

test('a circle of foreign keys among an extension’s tables is named when it is backed up', async () => {
  await using database = await makeDatabase('circular', extended.server)
  await database.sql(`CREATE EXTENSION coffre_circular; INSERT INTO hen VALUES (1, NULL)`)
  await using workshop = await makeWorkshop({ sources: { circular: { url: database.url } } })
  const { warnings } = await workshop.json(['backup'], { status: 3 })
  assert.deepEqual(warnings, [
    `the foreign keys of an extension's tables go round in a circle: public.egg, public.hen may not load`,
  ])
})

test('an extension that the destination does not have is named before anything is made there', async () => {
  await using database = await makeDatabase('elsewhere', extended.server)
  await database.sql(`CREATE EXTENSION coffre_configured`)
  await using workshop = await makeWorkshop({ sources: { elsewhere: { url: database.url } } })
  await workshop.json(['backup'])
  await using stranger = await makeDatabase('stranger')
  const restore = ['restore', 'latest', '--to', stranger.restored.url, '--identity', workshop.identity()]
  const { code, message, hint } = await workshop.error(restore, 1)
  assert.deepEqual(
    [code, message],
    [
      'ERR_DESTINATION',
      'this cannot be restored there: this server does not have the extensions coffre_configured',
    ],
  )
  assert.match(hint, /install the packages/)
})

test('a database with an extension that definitions and rows do not bring back is refused, with the reason', async () => {
  await using database = await makeDatabase('chunked', extended.server)
  await database.sql(`CREATE EXTENSION timescaledb; CREATE EXTENSION citus`)
  await using workshop = await makeWorkshop({ sources: { chunked: { url: database.url } } })
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_SOURCE')
  assert.match(message, /timescaledb: its catalogs can only be restored between calls of its own/)
  assert.match(message, /citus: the rows of its distributed tables lie on other servers/)
  assert.match(hint, /documentation/)
  assert.deepEqual(await workshop.json(['list']), { backups: [] })
})
