/** Roles: those a database refers to come back as they were, where they are missing; and nobody else's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { makeDatabase, sql, urlOf } from '../support/postgres.ts'
import { restoreByStock } from '../support/restore-by-stock.ts'

/** Everything of every role but its OID. */
const everything = `
  SELECT json_build_array(to_jsonb(r) - 'oid', shobj_description(r.oid, 'pg_authid'),
    (SELECT json_agg(setconfig) FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0),
    (SELECT json_agg(to_jsonb(m) - ARRAY['oid', 'roleid', 'member', 'grantor'] || jsonb_build_object('role', m.roleid::regrole) ORDER BY m.roleid::regrole::text)
      FROM pg_auth_members m WHERE m.member = r.oid))
  FROM pg_authid r WHERE rolname !~ '^pg_' ORDER BY rolname`

test('roles come back with settings, comments and memberships, login roles by way of their group, and no stranger’s', async () => {
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  await using byStock = await startOwnServer()
  await using database = await makeDatabase('ours', source.server)
  const name = `"${database.name}"`
  await sql(
    'postgres',
    `CREATE ROLE "the owner"; CREATE ROLE team; CREATE ROLE "team's core" IN ROLE team; CREATE ROLE above; GRANT above TO team;
     CREATE ROLE ana LOGIN PASSWORD 'opensesame' IN ROLE "team's core"; GRANT team TO ana WITH ADMIN OPTION; CREATE ROLE watcher IN ROLE pg_monitor LOGIN;
     COMMENT ON ROLE team IS E'it''s the "team"\\n\\\\ 🏢';
     ALTER ROLE ana SET search_path = "$user", 'odd, one'; ALTER ROLE ana SET work_mem = '7MB'; ALTER ROLE ana SET my.own = E'it''s \\\\ one';
     CREATE ROLE neighbour LOGIN PASSWORD 'secret' IN ROLE above; CREATE ROLE "other tenant" LOGIN; GRANT "other tenant" TO neighbour;
     CREATE DATABASE "not ours"; GRANT CONNECT ON DATABASE "not ours" TO "other tenant";
     ALTER DATABASE ${name} OWNER TO "the owner"; GRANT CONNECT ON DATABASE ${name} TO team; GRANT pg_monitor TO team`,
    [],
    source.server,
  )
  await sql(database.name, `CREATE TABLE t (id int); GRANT SELECT ON t TO pg_monitor`, [], source.server)
  for (const { server } of [destination, byStock])
    await sql(
      'postgres',
      `CREATE ROLE above LOGIN PASSWORD 'kept'; ALTER ROLE above SET work_mem = '1MB'`,
      [],
      server,
    )

  await using workshop = await makeWorkshop({ sources: { ours: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  const to = urlOf(database.name, destination.server)
  const restored = await workshop.json(['restore', 'latest', '--to', to, '--identity', workshop.identity()])
  assert.deepEqual([...(restored['rolesCreated'] as string[])].sort(), [
    'ana',
    'team',
    "team's core",
    'the owner',
  ])
  await restoreByStock(workshop, { source: 'ours', id, database: database.name, server: byStock.server })

  const roles = (server: string): Promise<string> => sql('postgres', everything, [], server)
  const mine = async (server: string): Promise<readonly string[]> =>
    (await roles(server))
      .split('\n')
      .filter((line) => /"rolname": "(?:ana|team|team's core|the owner)"/.test(line))
  const wanted = await mine(source.server)
  assert.equal(wanted.length, 4)
  for (const { server } of [destination, byStock]) {
    assert.deepEqual(await mine(server), wanted)
    const all = await roles(server)
    assert.doesNotMatch(all, /neighbour|tenant|watcher/)
    assert.match(all, /"rolname": "above".*work_mem=1MB/, 'an existing role stays as it is')
    const login = `SELECT rolcanlogin FROM pg_roles WHERE rolname = 'above'`
    assert.equal(await sql('postgres', login, [], server), 't')
  }
})

test('a restore that cannot create one of the roles creates none', async () => {
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  await using database = await makeDatabase('ours', source.server)
  await sql(
    database.name,
    `CREATE ROLE first_one; CREATE ROLE "second" LOGIN; CREATE TABLE t (id int); GRANT SELECT ON t TO first_one, "second"; CREATE ROLE maker LOGIN CREATEROLE CREATEDB;
     ALTER DATABASE "${database.name}" OWNER TO maker; ALTER TABLE t OWNER TO maker; ALTER ROLE "second" REPLICATION`,
    [],
    source.server,
  )
  await sql('postgres', `CREATE ROLE maker LOGIN CREATEROLE CREATEDB`, [], destination.server)
  await using workshop = await makeWorkshop({ sources: { ours: { url: database.url } } })
  await workshop.json(['backup'])
  const to = urlOf(database.name, destination.server, 'maker')
  const { message } = await workshop.error(
    ['restore', 'latest', '--to', to, '--identity', workshop.identity()],
    1,
  )
  assert.match(message, /must be superuser to create replication users|permission denied to create role/)
  const left = `SELECT (SELECT count(*) FROM pg_roles WHERE rolname IN ('first_one', 'second')), (SELECT count(*) FROM pg_database)`
  assert.equal(await sql('postgres', left, [], destination.server), '0|3')
})
