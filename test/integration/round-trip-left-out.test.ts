/** What pg_dump leaves out without a word: a backup says so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'

test('what was made inside the schemas of the system is left out, and the backup warns of it', async () => {
  await using database = await makeDatabase('inside')
  await using workshop = await makeWorkshop({ sources: { inside: { url: database.url } } })
  const warning = async (): Promise<string> => {
    const { warnings } = await workshop.json(['backup'], { status: 3 })
    assert.ok(Array.isArray(warnings) && warnings.length === 1, String(warnings))
    return String(warnings[0])
  }
  // Extensions put things there too, and bring them back themselves.
  await database.sql(`CREATE EXTENSION adminpack; CREATE EXTENSION btree_gist; CREATE TABLE t (id int, during int4range, EXCLUDE USING gist (id WITH =, during WITH &&));
    CREATE TYPE of_users AS (a int); CREATE OPERATOR FAMILY ours USING btree`)
  assert.deepEqual((await workshop.json(['backup']))['warnings'], [])

  await database.sql(`CREATE FUNCTION pg_catalog.our_own() RETURNS int LANGUAGE sql AS 'SELECT 1'`)
  assert.match(await warning(), /^left out, .*: function our_own\(\)$/)

  await database.sql(`CREATE FUNCTION compare(int8, text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
    ALTER OPERATOR FAMILY integer_ops USING btree ADD FUNCTION 1 (int8, text) compare(int8, text); CREATE DOMAIN information_schema.ours AS text`)
  assert.match(await warning(), /^left out, .* and 2 more$/)
})
