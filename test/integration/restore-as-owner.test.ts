/** A restore by a role that is no superuser, as hosted servers allow none: what works, and what is said before anything is made. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { conninfoOf, makeDatabase, sql, urlOf } from '../support/postgres.ts'

test('a role that may create databases restores one whose objects it owns', async () => {
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  await using database = await makeDatabase('owned', source.server)
  const make = `CREATE ROLE landlord LOGIN; CREATE ROLE agent LOGIN CREATEDB IN ROLE landlord; CREATE ROLE reader`
  for (const { server } of [source, destination]) await sql('postgres', make, [], server)
  await sql('postgres', `ALTER DATABASE "${database.name}" OWNER TO landlord`, [], source.server)
  await sql(
    database.name,
    `SET ROLE landlord; CREATE EXTENSION hstore; CREATE SCHEMA flats; CREATE TABLE flats.t (id serial PRIMARY KEY, h hstore); INSERT INTO flats.t (h) SELECT hstore('n', n::text) FROM generate_series(1, 100) n;
     GRANT SELECT ON flats.t TO reader; SELECT lo_from_bytea(4711, '\\x00ff'); ALTER DATABASE "${database.name}" SET work_mem = '7MB'; COMMENT ON DATABASE "${database.name}" IS 'ours';
     CREATE MATERIALIZED VIEW flats.m AS SELECT count(*) FROM flats.t; ALTER DEFAULT PRIVILEGES IN SCHEMA flats GRANT SELECT ON TABLES TO reader; CREATE PUBLICATION p FOR TABLE flats.t`,
    [],
    source.server,
  )
  await using workshop = await makeWorkshop({ sources: { owned: { url: database.url } } })
  await workshop.json(['backup'])
  const to = urlOf(database.name, destination.server, 'agent')
  const { warnings, rolesCreated } = await workshop.json([
    'restore',
    'latest',
    '--to',
    to,
    '--identity',
    workshop.identity(),
  ])
  assert.deepEqual([warnings, rolesCreated], [[], []])
  const restored = conninfoOf(database.name, destination.server)
  await assertSameDatabase(database.conninfo, restored)
})

test('whatever a superuser would be needed for is named at once, before anything is made', async () => {
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  await using database = await makeDatabase('guarded', source.server)
  await sql(
    database.name,
    `CREATE ROLE absent; CREATE ROLE boss SUPERUSER; CREATE ROLE present; CREATE TABLE theirs (id int); ALTER TABLE theirs OWNER TO present; GRANT SELECT ON theirs TO boss, absent;
     CREATE EXTENSION file_fdw; CREATE FUNCTION noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER noticing ON ddl_command_end EXECUTE FUNCTION noticed();
     CREATE PUBLICATION everything FOR ALL TABLES; CREATE FUNCTION low(internal) RETURNS internal LANGUAGE internal AS 'int4out'`,
    [],
    source.server,
  )
  await sql(
    'postgres',
    `CREATE ROLE agent LOGIN; CREATE ROLE maker LOGIN CREATEROLE CREATEDB; CREATE ROLE present`,
    [],
    destination.server,
  )
  await using workshop = await makeWorkshop({ sources: { guarded: { url: database.url } } })
  await workshop.json(['backup'])
  const asked = async (role: string): Promise<string> => {
    const to = urlOf(database.name, destination.server, role)
    const { code, message, hint } = await workshop.error(
      ['restore', 'latest', '--to', to, '--identity', workshop.identity()],
      1,
    )
    assert.equal(code, 'ERR_DESTINATION')
    assert.match(hint, /^restore as a superuser/)
    return message
  }
  const guarded = [
    'only a superuser can create the extensions file_fdw',
    'only a superuser can make event trigger noticing, function in an untrusted language low, publication of all tables everything',
  ].join('; ')
  assert.equal(
    await asked('agent'),
    `this cannot be restored there: agent may not create databases; agent is no member of the owners postgres, present; agent may not create the missing roles absent, boss; ${guarded}`,
  )
  assert.equal(
    await asked('maker'),
    `this cannot be restored there: maker is no member of the owners postgres, present; maker may not create the superusers boss; ${guarded}`,
  )
  const left = `SELECT (SELECT count(*) FROM pg_roles WHERE rolname IN ('absent', 'boss')), (SELECT count(*) FROM pg_database)`
  assert.equal(await sql('postgres', left, [], destination.server), '0|3')
})
