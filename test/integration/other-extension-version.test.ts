/**
 * A destination whose extension writes the values of its type otherwise (hazard 22): where its version is another, the text
 * tells nothing, and that is said; where it is the same, what reads otherwise is other.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeWorkshop } from '../support/coffre.ts'
import { startExtendedServer } from '../support/extended-server.ts'
import type { OwnServer } from '../support/own-server.ts'
import { makeDatabase, sql } from '../support/postgres.ts'

/** An integer by another name. As `oidout` writes it, a negative one is another number. */
const counter = (type: string, output: 'int4out' | 'oidout'): string => `
  CREATE TYPE ${type};
  CREATE FUNCTION ${type}_in(cstring) RETURNS ${type} LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
  CREATE FUNCTION ${type}_out(${type}) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS '${output}';
  CREATE TYPE ${type} (INPUT = ${type}_in, OUTPUT = ${type}_out, LIKE = pg_catalog.int4)`

let source: OwnServer
let destination: OwnServer
before(async () => {
  source = await startExtendedServer({
    coffre_moved: counter('moved', 'int4out'),
    coffre_stayed: counter('stayed', 'int4out'),
  })
  destination = await startExtendedServer({
    coffre_moved: { version: '1.1', script: counter('moved', 'oidout') },
    coffre_stayed: counter('stayed', 'oidout'),
  })
})
after(async () => {
  await source[Symbol.asyncDispose]()
  await destination[Symbol.asyncDispose]()
})

test('values that another version of their extension writes otherwise are not comparable: a warning, and the restore stands', async () => {
  await using database = await makeDatabase('moved', source.server)
  await database.sql(`CREATE EXTENSION coffre_moved; CREATE DOMAIN within AS moved; CREATE TYPE pair AS (n int, m within);
    CREATE TABLE simple (id int, m moved); INSERT INTO simple VALUES (1, '-1'), (2, '7');
    CREATE TABLE nested (many moved[], p pair, ps pair[]); INSERT INTO nested VALUES ('{-1}', '(1,-1)', '{"(1,-1)"}');
    CREATE TABLE equal (m moved); INSERT INTO equal VALUES ('7'); CREATE TABLE apart (id int); INSERT INTO apart VALUES (-1)`)
  await using workshop = await makeWorkshop({ sources: { moved: { url: database.url } } })
  await workshop.json(['backup'])
  await using other = await makeDatabase('newer', destination.server)
  const restore = ['restore', 'latest', '--to', other.restored.url, '--identity', workshop.identity()]
  const { warnings } = await workshop.json(restore, { status: 3 })
  assert.ok(Array.isArray(warnings))
  const because = 'as coffre_moved is 1.1 here and was 1.0'
  assert.deepEqual(
    warnings.map((one) => String(one).replace(/^table \S*(?=\b(?:nested|simple)\b)|"\]/g, '')),
    [
      `nested has as many rows as the snapshot; their content is not comparable: column many, ${because}; column p, ${because}; column ps, ${because}`,
      `simple has as many rows as the snapshot; their content is not comparable: column m, ${because}`,
    ],
  )
  const restored = await sql(other.restored.name, 'SELECT m FROM simple ORDER BY id', [], destination.server)
  assert.equal(restored, '4294967295\n7')
})

test('values that read otherwise under the same version of their extension are different: the restore fails', async () => {
  await using database = await makeDatabase('stayed', source.server)
  await database.sql(
    `CREATE EXTENSION coffre_stayed; CREATE TABLE simple (id int, s stayed); INSERT INTO simple VALUES (1, '-1')`,
  )
  await using workshop = await makeWorkshop({ sources: { stayed: { url: database.url } } })
  await workshop.json(['backup'])
  await using other = await makeDatabase('same', destination.server)
  const restore = ['restore', 'latest', '--to', other.restored.url, '--identity', workshop.identity()]
  const { message } = await workshop.error(restore, 1)
  assert.match(message, /simple\S* has as many rows as the snapshot, but others/)
  const left = `SELECT count(*) FROM pg_database WHERE datname = '${other.restored.name}'`
  assert.equal(await sql('postgres', left, [], destination.server), '0')
})
