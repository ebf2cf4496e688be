/** The nasty database of our own, and names that no quoting may overlook: of tables and columns, of databases and of roles. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { assertSameDefinitions } from '../compare/compare-definitions.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { conninfoOf, makeDatabase, sql, urlOf } from '../support/postgres.ts'
import { goesRound } from '../support/round-trip.ts'

const nasty = new URL('../support/nasty-database.sql', import.meta.url)

test('types of types, constraints in circles, triggers on everything, views on views and rights by default come back together', async () => {
  await using database = await makeDatabase('nasty')
  await database.sql(await readFile(nasty, 'utf8'))
  const { tables, rows } = await goesRound(database)
  assert.ok(tables > 20 && rows > 25, `${tables} tables, ${rows} rows`)
  await assertSameDefinitions(database.conninfo, database.restored.conninfo)
})

const ascii = String.fromCharCode(...Array.from({ length: 95 }, (_, n) => 0x20 + n))
/** Every printable byte of ASCII, a newline and an emoji, in names of up to the 63 bytes that PostgreSQL keeps. */
const names = [`${ascii.slice(0, 50)}\n.`, `${ascii.slice(50)}.🏢\n`] as const
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const literal = (name: string): string => `'${name.replaceAll("'", "''")}'`

/** In the database `name`, everything is called after it or after `other`, which is also its owner's name. */
function filled(name: string, other: string): string {
  const [one, two, table] = [quoted(name), quoted(other), quoted(`t${name.slice(1)}`)]
  return `CREATE SCHEMA ${two} AUTHORIZATION ${one}; CREATE TYPE ${two}.${one} AS ENUM (${literal(name)});
    CREATE TABLE ${two}.${table} (${one} int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ${two} ${two}.${one}, CONSTRAINT ${one} CHECK (${one} > 0));
    INSERT INTO ${two}.${table} (${two}) VALUES (${literal(name)}), (NULL);
    CREATE FUNCTION ${one}() RETURNS text LANGUAGE sql AS ${literal(`SELECT ${literal(name)}::text`)}; CREATE VIEW ${two} AS SELECT ${one}() AS ${one};
    GRANT SELECT ON ${two} TO ${two}; COMMENT ON SCHEMA ${two} IS ${literal(name)}; ALTER DATABASE ${one} SET search_path = ${two}, public;
    ALTER ROLE ${two} IN DATABASE ${one} SET search_path = ${one}; CREATE PUBLICATION ${one} FOR ALL TABLES;
    SELECT lo_create(1); ALTER LARGE OBJECT 1 OWNER TO ${two}`
}

test('names of every printable byte, for tables, columns, databases and roles, come back on another server', async () => {
  assert.equal(new Set(names.join('')).size, 95 + 2)
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  const [first, second] = names
  const roles = `CREATE ROLE ${quoted(first)}; CREATE ROLE ${quoted(second)} IN ROLE ${quoted(first)}`
  await sql('postgres', roles, [], source.server)
  for (const [name, other] of [
    [first, second],
    [second, first],
  ] as const) {
    const create = `CREATE DATABASE ${quoted(name)} OWNER ${quoted(other)} TEMPLATE template0 ENCODING 'UTF8'`
    await sql('postgres', create, [], source.server)
    await sql(name, filled(name, other), [], source.server)
    await using workshop = await makeWorkshop({ sources: { odd: { url: urlOf(name, source.server) } } })
    await workshop.json(['backup'])
    const to = urlOf(name, destination.server)
    await workshop.json(['restore', 'latest', '--to', to, '--identity', workshop.identity()])
    await assertSameDatabase(conninfoOf(name, source.server), conninfoOf(name, destination.server))
  }
})
