/** What is of the database and the server, not in it, and changed between versions: locales, memberships, settings. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { makeDatabase, sql } from '../support/postgres.ts'
import { insideSource, intoInside, supported, workshopFor } from './servers.ts'

const newest = supported.at(-1) ?? assert.fail('there is no server')

for (const from of supported.filter(({ major }) => major >= 17)) {
  test(`a database with the built-in locale of PostgreSQL ${from.version} keeps it on ${newest.version}`, async () => {
    const like = "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
    await using database = await makeDatabase('builtin', from.server, like)
    await using workshop = await workshopFor(insideSource(from, database.name))
    await using place = await makeDatabase('place', newest.server)
    await workshop.coffre(['backup', 'source'])
    await workshop.coffre(intoInside(workshop, newest, place.restored.name))
    const found = `SELECT datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = '${place.restored.name}'`
    assert.equal(await sql('postgres', found, [], newest.server), 'b|C.UTF-8|C')
  })
}

for (const from of supported.filter(({ major }) => major < newest.major)) {
  test(`memberships of PostgreSQL ${from.version} come to ${newest.version} as they were`, async () => {
    const [owner, group] = ['owner', 'group'].map((name) => `coffre_${name}_${randomUUID().slice(0, 8)}`)
    const options = from.major >= 16 ? 'WITH INHERIT FALSE, SET FALSE' : ''
    await using database = await makeDatabase('members', from.server)
    await database.sql(`CREATE ROLE ${group}; CREATE ROLE ${owner} NOINHERIT; GRANT ${group} TO ${owner} ${options};
      CREATE TABLE t (); ALTER TABLE t OWNER TO ${owner}`)
    await using workshop = await workshopFor(insideSource(from, database.name))
    await using place = await makeDatabase('place', newest.server)
    await workshop.coffre(['backup', 'source'])
    await workshop.coffre(intoInside(workshop, newest, place.restored.name))
    const found = `SELECT r.rolinherit, m.inherit_option, m.set_option FROM pg_auth_members m
      JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = '${owner}' AND m.roleid = '${group}'::regrole`
    assert.equal(await sql('postgres', found, [], newest.server), from.major >= 16 ? 'f|f|f' : 'f|f|t')
    await sql('postgres', `DROP DATABASE "${place.restored.name}" WITH (FORCE)`, [], newest.server)
    await sql('postgres', `DROP ROLE ${owner}, ${group}`, [], newest.server)
    await sql('postgres', `DROP DATABASE "${database.name}" WITH (FORCE)`, [], from.server)
    await sql('postgres', `DROP ROLE ${owner}, ${group}`, [], from.server)
  })
}

for (const from of supported.filter(({ major }) => major < 16 && newest.major >= 16)) {
  test(`a setting of PostgreSQL ${from.version} that ${newest.version} does not have is named, and the rest comes back`, async () => {
    await using database = await makeDatabase('settings', from.server)
    await database.sql(`ALTER DATABASE "${database.name}" SET force_parallel_mode = 'on';
      ALTER DATABASE "${database.name}" SET work_mem = '7MB'`)
    await using workshop = await workshopFor(insideSource(from, database.name))
    await using place = await makeDatabase('place', newest.server)
    await workshop.coffre(['backup', 'source'])
    const { stderr } = await workshop.coffre(intoInside(workshop, newest, place.restored.name), { status: 3 })
    assert.match(stderr, /could not run ALTER DATABASE .*force_parallel_mode/)
    assert.equal(await sql(place.restored.name, 'SHOW work_mem', [], newest.server), '7MB')
  })
}
