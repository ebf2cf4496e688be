/**
 * The file globals.sql of a backup, for restores by hand: it holds what this database leans on, and no other tenant's roles or
 * passwords, unless the configuration asks for all of the server.
 */
import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { makeDatabase, sql } from '../support/postgres.ts'

const roles = `SELECT rolname, rolpassword, rolconnlimit, shobj_description(oid, 'pg_authid'),
    (SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members WHERE member = r.oid), (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid)
  FROM pg_authid r WHERE rolname IN ('the owner', 'team') ORDER BY 1`

test('the roles and passwords of other databases are in no backup, unless they were asked for', async () => {
  await using source = await startOwnServer()
  const folder = join(source.socketFolder, 'a space')
  mkdirSync(folder)
  const { uid, gid } = statSync(source.socketFolder)
  chownSync(folder, uid, gid)
  await using database = await makeDatabase('ours', source.server)
  await sql(
    'postgres',
    `CREATE ROLE team; CREATE ROLE "the owner" LOGIN PASSWORD 'opensesame' IN ROLE team CONNECTION LIMIT 7; COMMENT ON ROLE team IS E'it''s\\nours';
     ALTER ROLE "the owner" SET search_path = "$user", 'odd, one'; ALTER DATABASE "${database.name}" OWNER TO "the owner";
     CREATE ROLE tenant LOGIN PASSWORD 'theirs'; CREATE DATABASE "not ours" OWNER tenant`,
    [],
    source.server,
  )
  await sql('postgres', `CREATE TABLESPACE ours LOCATION '${folder}'`, [], source.server)
  await database.sql(`CREATE TABLE t (id int) TABLESPACE ours; ALTER TABLE t OWNER TO "the owner"`)

  const given = { url: database.url }
  await using workshop = await makeWorkshop({ sources: { ours: given } })
  const globals = async (into: string): Promise<string> => {
    await workshop.json(['backup'])
    const to = join(workshop.folder, into)
    await workshop.json(['restore', 'latest', '--to-directory', to, '--identity', workshop.identity()])
    return readFileSync(join(to, 'globals.sql'), 'utf8')
  }
  const used = await globals('used')
  assert.doesNotMatch(used, /tenant/)
  assert.match(used, /CREATE TABLESPACE "?ours"? .*LOCATION '.*a space'/)
  await using destination = await startOwnServer()
  await sql('postgres', `ALTER ROLE postgres PASSWORD 'kept'`, [], destination.server)
  const kept = `SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'`
  const before = await sql('postgres', kept, [], destination.server)
  // Without its tablespaces, whose folders are not there.
  const statements = used.replaceAll(/^CREATE TABLESPACE .*\n/gm, '')
  for (const time of ['first', 'second']) {
    await sql('postgres', statements, ['-v', 'ON_ERROR_STOP=0'], destination.server)
    const made = await sql('postgres', roles, [], destination.server)
    assert.equal(made, await sql('postgres', roles, [], source.server), time)
  }
  assert.equal(await sql('postgres', kept, [], destination.server), before)

  await workshop.configure({ sources: { ours: { ...given, globals: 'all' } } })
  assert.match(await globals('all'), /CREATE ROLE tenant;/)
})
