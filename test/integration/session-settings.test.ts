/**
 * What a database or a role sets for its sessions: none of it reaches the sessions that dump, load and digest, so a value is
 * written alike in all three, no row is hidden, and nothing ends a session (hazards 2, 14 and 15).
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import type { PsqlSession } from '../../src/postgres/psql-session.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { openSession, testAccess } from '../support/session.ts'

/** Name, what somebody sets, and what it must be all the same. */
const settings = [
  ['DateStyle', 'German', 'ISO, DMY'],
  ['IntervalStyle', 'iso_8601', 'postgres'],
  ['TimeZone', 'Asia/Kolkata', 'UTC'],
  ['extra_float_digits', '-15', '3'],
  ['bytea_output', 'escape', 'hex'],
  ['lc_monetary', 'C.UTF-8', 'C'],
  ['xmloption', 'document', 'content'],
  ['standard_conforming_strings', 'off', 'on'],
  ['search_path', 'public', '""'],
  ['client_encoding', 'LATIN1', 'UTF8'],
  ['client_min_messages', 'debug1', 'error'],
  ['row_security', 'on', 'off'],
  ['synchronize_seqscans', 'on', 'off'],
  ['enable_tidscan', 'off', 'on'],
  ['jit', 'on', 'off'],
  ['max_parallel_workers_per_gather', '8', '0'],
  ['default_transaction_read_only', 'on', 'off'],
  ['statement_timeout', '1h', '0'],
  ['lock_timeout', '1h', '0'],
  ['idle_in_transaction_session_timeout', '1h', '0'],
  ['idle_session_timeout', '1h', '0'],
] as const

const role = `set_in_its_ways_${process.pid}`

for (const whose of ['database', 'role'] as const) {
  describe(`a setting of the ${whose}`, () => {
    let database: TestDatabase
    let session: PsqlSession
    before(async () => {
      database = await makeDatabase('settings')
      const target = whose === 'role' ? `ROLE ${role}` : `DATABASE "${database.name}"`
      const set = settings.map(([name, theirs]) => `ALTER ${target} SET ${name} = '${theirs}'`)
      await database.sql(`CREATE ROLE ${role} SUPERUSER LOGIN; ${set.join('; ')}`)
      const access = testAccess(database.name)
      session = await openSession({ ...access, parameters: { ...access.parameters, user: role } })
    })
    after(async () => {
      await session.close()
      await database[Symbol.asyncDispose]()
      await sql('postgres', `DROP ROLE ${role}`)
    })

    for (const [name, theirs, ours] of settings) {
      test(`does not reach ours: ${name}`, async () => {
        const [row] = await session.query(`SELECT pg_catalog.current_setting('${name}') AS value`)
        const { value } = row as { value: string }
        assert.equal(value, ours, `${name} was set to ${theirs}`)
      })
    }
  })
}

test('a .psqlrc, which could change what psql does and prints, is not read', async () => {
  await using database = await makeDatabase('at_home')
  await database.sql('CREATE TABLE t AS SELECT 1 AS n')
  await using workshop = await makeWorkshop({ sources: { at_home: { url: database.url } } })
  await writeFile(join(workshop.folder, '.psqlrc'), '\\echo welcome\nSELECT 1 / 0;\n\\set AUTOCOMMIT off\n')
  await workshop.coffre(['backup'], { env: { HOME: workshop.folder } })
})

test('a role in whose sessions all is set otherwise backs up, and restores, what others see', async () => {
  await using database = await makeDatabase('otherwise')
  const set = settings.map(
    ([name, theirs]) => `ALTER ROLE ${role} SET ${name} = '${theirs.replace('1h', '1s')}'`,
  )
  await database.sql(`CREATE ROLE ${role} SUPERUSER LOGIN; ${set.join('; ')};
    CREATE TABLE t (d date, z timestamptz, i interval, f float8, b bytea, m money, x xml, s text, e text DEFAULT E'a\\\\b');
    INSERT INTO t VALUES ('2020-02-03', '2020-02-03 04:05:06.789+07', '1 year -2 days 03:04:05', 0.1::float8 + 0.2, '\\x00ff5c', 12.34, 'not <a>document</a>', 'é€\\');
    CREATE VIEW v AS SELECT * FROM t WHERE s = E'back\\\\slash' AND i > '-1 day 1 hour'; CREATE INDEX ON t (d); SELECT lo_from_bytea(0, '\\x5c00');
    CREATE FUNCTION f(z timestamptz DEFAULT '2020-02-03 04:05+00', i interval DEFAULT '1 day -1 hour') RETURNS int LANGUAGE sql AS 'SELECT 1'`)
  try {
    await using workshop = await makeWorkshop({
      sources: { otherwise: { url: urlOf(database.name, undefined, role) } },
    })
    await workshop.json(['backup'])
    const to = urlOf(database.restored.name, undefined, role)
    await workshop.json(['restore', 'latest', '--to', to, '--identity', workshop.identity()])
    await assertSameDatabase(database.conninfo, database.restored.conninfo)
  } finally {
    await database[Symbol.asyncDispose]()
    await sql('postgres', `DROP ROLE ${role}`)
  }
})
