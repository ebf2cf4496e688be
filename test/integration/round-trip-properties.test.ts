/**
 * What belongs to a database without being in it: owner, settings, rights, comment, connection limit, and the roles they
 * name. And what a restore does with a database that is already there.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { assertSameDatabase, assertSameFacts, databaseFacts } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { conninfoOf, makeDatabase, sql, urlOf } from '../support/postgres.ts'

/** Everything of a role but its OID. */
const rolesQuery = (pattern: string): string => `
  SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil,
    (SELECT string_agg(roleid::regrole::text, ',' ORDER BY roleid::regrole::text) FROM pg_auth_members WHERE member = r.oid)
  FROM pg_authid r WHERE rolname ~ '${pattern}' ORDER BY 1`

test('owner, settings, rights, comment and limit of the database come back on another server, with the roles they need', async () => {
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  await using database = await makeDatabase('ours', source.server)
  const name = `"${database.name}"`
  await sql(
    'postgres',
    `CREATE ROLE staff; CREATE ROLE "the ""owner""" LOGIN CREATEDB CONNECTION LIMIT 5 PASSWORD 'opensesame' VALID UNTIL '2031-05-06 07:08:09+00' IN ROLE staff, pg_monitor;
     CREATE ROLE reader NOINHERIT; CREATE ROLE "été 🏖" BYPASSRLS; CREATE ROLE uninvolved;
     ALTER DATABASE ${name} OWNER TO "the ""owner""";
     ALTER DATABASE ${name} SET search_path = public, "Odd schema", '$user', "a,b";
     ALTER DATABASE ${name} SET work_mem = '7MB'; ALTER DATABASE ${name} SET datestyle = 'SQL, DMY'; ALTER DATABASE ${name} SET timezone = 'Europe/Brussels';
     ALTER DATABASE ${name} SET my.own = E'it''s a \\\\ "setting"\\nof two lines'; ALTER DATABASE ${name} SET default_transaction_read_only = on;
     ALTER DATABASE ${name} SET temp_tablespaces = ''; ALTER DATABASE ${name} SET "my.Odd_Case" = '';
     ALTER ROLE reader IN DATABASE ${name} SET search_path = "Odd schema"; ALTER ROLE reader IN DATABASE ${name} SET statement_timeout = '5s';
     COMMENT ON DATABASE ${name} IS E'it''s "ours"\\n\\\\ 🏢'; ALTER DATABASE ${name} CONNECTION LIMIT 12;
     REVOKE ALL ON DATABASE ${name} FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO reader; GRANT CREATE ON DATABASE ${name} TO "été 🏖" WITH GRANT OPTION;`,
    [],
    source.server,
  )
  await sql(
    database.name,
    `SET default_transaction_read_only = off; CREATE SCHEMA "Odd schema" AUTHORIZATION reader; CREATE TABLE "Odd schema".t (id int); INSERT INTO "Odd schema".t VALUES (1);
     GRANT SELECT ON "Odd schema".t TO staff; ALTER DEFAULT PRIVILEGES FOR ROLE "été 🏖" GRANT SELECT ON TABLES TO reader;`,
    [],
    source.server,
  )
  // One of the roles is there already, with other attributes, in another group.
  await sql(
    'postgres',
    `CREATE ROLE guests; CREATE ROLE reader LOGIN CONNECTION LIMIT 7 PASSWORD 'kept' IN ROLE guests`,
    [],
    destination.server,
  )
  const before = await sql('postgres', rolesQuery('^(reader|guests|postgres)$'), [], destination.server)

  await using workshop = await makeWorkshop({ sources: { ours: { url: database.url } } })
  await workshop.json(['backup'])
  const to = urlOf(database.name, destination.server)
  const { rolesCreated } = await workshop.json([
    'restore',
    'latest',
    '--to',
    to,
    '--identity',
    workshop.identity(),
  ])

  assert.deepEqual([...(rolesCreated as string[])].sort(), ['staff', 'the "owner"', 'été 🏖'])
  await assertSameDatabase(database.conninfo, conninfoOf(database.name, destination.server))
  assert.equal(
    await sql('postgres', rolesQuery('^(reader|guests|postgres)$'), [], destination.server),
    before,
  )
  const created = rolesQuery('owner|été|staff')
  assert.equal(
    await sql('postgres', created, [], destination.server),
    await sql('postgres', created, [], source.server),
  )
  assert.equal(
    await sql('postgres', rolesQuery('uninvolved'), [], destination.server),
    '',
    'only the roles it refers to',
  )
})

test('a restore leaves a database that is not empty as it is, and fills one that is', async () => {
  await using database = await makeDatabase('taken')
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1)`)
  await using workshop = await makeWorkshop({ sources: { taken: { url: database.url } } })
  await workshop.json(['backup'])
  const { name, url, conninfo } = database.restored
  const restore = ['restore', 'latest', '--to', url, '--identity', workshop.identity()]

  const contents = [
    'CREATE TABLE mine (id int); INSERT INTO mine VALUES (7)',
    'SELECT lo_create(1)',
    'CREATE PUBLICATION mine',
  ]
  for (const content of contents) {
    await sql('postgres', `CREATE DATABASE "${name}" TEMPLATE template0`)
    await sql(name, content)
    const before = await databaseFacts(conninfo)
    const { code, message } = await workshop.error(restore, 1)
    assert.deepEqual(
      [code, message],
      ['ERR_DESTINATION', `the database "${name}" exists and is not empty: it is left as it is`],
      content,
    )
    assertSameFacts(before, await databaseFacts(conninfo))
    await sql('postgres', `DROP DATABASE "${name}"`)
  }

  await sql('postgres', `CREATE DATABASE "${name}" TEMPLATE template0`)
  await workshop.json(restore)
  await assertSameDatabase(database.conninfo, conninfo)
  const found = await sql('postgres', `SELECT datname FROM pg_database WHERE datname ~ '^${name}'`)
  assert.equal(found, name, 'no staging database is left')
})

test('a database whose name needs quoting is backed up and restored under such a name', async () => {
  await using database = await makeDatabase('odd')
  const named = (word: string): string => `${word} "${randomUUID().slice(0, 8)}" a=b \\ 'é'`
  const [odd, restored] = [named('from'), named('to')]
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1)`)
  await sql('postgres', `CREATE DATABASE ${quoted(odd)} TEMPLATE "${database.name}"`)
  try {
    await using workshop = await makeWorkshop({ sources: { odd: { url: urlOf(odd) } } })
    await workshop.json(['backup'])
    await workshop.json(['restore', 'latest', '--to', urlOf(restored), '--identity', workshop.identity()])
    await assertSameDatabase(conninfoOf(odd), conninfoOf(restored))
  } finally {
    await sql(
      'postgres',
      [odd, restored].map((name) => `DROP DATABASE IF EXISTS ${quoted(name)};`).join('\n'),
    )
  }
})
