/**
 * A backup by a role that lacks rights: everything it lacks is said at once, with the way out, before anything is written;
 * what can only be left out is a warning.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { filesBelow } from '../support/repository-folder.ts'

const role = `weak "one" ${randomUUID().slice(0, 8)}`
const quoted = `"${role.replaceAll('"', '""')}"`
let database: TestDatabase
let workshop: Workshop

before(async () => {
  database = await makeDatabase('guarded')
  await database.sql(`CREATE ROLE ${quoted} LOGIN;
    CREATE TABLE readable (id int); CREATE TABLE "Hidden" (id serial PRIMARY KEY); CREATE SEQUENCE free; GRANT SELECT ON readable, free TO ${quoted};
    CREATE SCHEMA vault; CREATE TABLE vault.gold (id int); GRANT SELECT ON vault.gold TO ${quoted}; CREATE VIEW vault.seen AS TABLE vault.gold;
    CREATE TABLE notes (id int); GRANT SELECT ON notes TO ${quoted}; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    SELECT lo_from_bytea(4711, 'secret'), lo_from_bytea(4712, 'open'); GRANT SELECT ON LARGE OBJECT 4712 TO PUBLIC;
    CREATE FOREIGN DATA WRAPPER w; CREATE SERVER elsewhere FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (password 'x');
    CREATE SUBSCRIPTION incoming CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)`)
  workshop = await makeWorkshop({
    sources: { guarded: { url: urlOf(database.name, undefined, encodeURIComponent(role)) } },
  })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database.sql('DROP SUBSCRIPTION incoming')
  await database[Symbol.asyncDispose]()
  await sql('postgres', `DROP ROLE ${quoted}`)
})

test('everything a role may not read is named at once, and nothing was written', async () => {
  const repository = join(workshop.folder, 'repository')
  const before = await filesBelow(repository)
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_SOURCE')
  assert.match(
    message,
    /USAGE on the schemas vault, SELECT on the tables public\."Hidden", SELECT on the sequences public\."Hidden_id_seq"/,
  )
  assert.match(message, /may not read the large objects 4711;/)
  assert.match(message, /row security would hide rows of public\.notes/)
  assert.doesNotMatch(message, /readable|free|4712|gold/)
  assert.ok(hint.includes(`GRANT pg_read_all_data TO ${quoted}`), hint)
  assert.ok(hint.includes(`GRANT SELECT ON LARGE OBJECT 4711 TO ${quoted}`), hint)
  assert.ok(hint.includes(`ALTER ROLE ${quoted} BYPASSRLS`), hint)
  assert.deepEqual(await filesBelow(repository), before)
})

test('the ways out it was told are enough; what only a superuser reads is a warning with its names', async () => {
  await database.sql(
    `GRANT pg_read_all_data TO ${quoted}; GRANT SELECT ON LARGE OBJECT 4711 TO ${quoted}; ALTER ROLE ${quoted} BYPASSRLS`,
  )
  const { warnings } = await workshop.json(['backup'], { status: 3 })
  assert.ok(Array.isArray(warnings))
  const said = warnings.join('\n')
  assert.match(said, /subscriptions are left out, .*: incoming/)
  assert.match(said, /user mappings lose the options .*: elsewhere for public/)
  assert.doesNotMatch(said, /password verifiers/)
})

test('a role that owns everything it backs up is told that passwords of roles are not in the backup', async () => {
  await using own = await makeDatabase('owned')
  await own.sql(
    `REVOKE pg_read_all_data FROM ${quoted}; ALTER DATABASE "${own.name}" OWNER TO ${quoted}; CREATE TABLE t (id int); ALTER TABLE t OWNER TO ${quoted}`,
  )
  await using shop = await makeWorkshop({
    sources: { own: { url: urlOf(own.name, undefined, encodeURIComponent(role)) } },
  })
  const { warnings } = await shop.json(['backup'], { status: 3 })
  assert.ok(Array.isArray(warnings) && warnings.length === 1, String(warnings))
  assert.match(String(warnings[0]), /roles are backed up without their passwords/)
  await shop.json(['verify', '--all'])
})
