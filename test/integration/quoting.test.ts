/**
 * Any text, as a value and as a name, through psql into a real server and back. psql reads the same text for commands
 * (`\!`), variables (`:name`) and ends of statements (`;`) of its own: inside quotes there must be none.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import type { PsqlSession } from '../../src/postgres/psql-session.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../src/postgres/quoting.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'
import { copied, openSession } from '../support/session.ts'

const trace = join(tmpdir(), `coffre-quoting-${process.pid}`)

let session: PsqlSession
before(async () => {
  session = await openSession()
  await session.execute('BEGIN')
})
after(() => session.kill())

/** What psql, the server or a person could take for something else than text. */
const spices = [
  "'",
  '"',
  '\\',
  '\\\\',
  '\n',
  '\r\n',
  '\t',
  '\b',
  '\u0001',
  '\u007f',
  '--',
  '/*',
  '*/',
  ';',
  '$1',
  '$$',
  '$x$',
  '%',
  '_',
  ':DBNAME',
  ":'USER'",
  ':"HOST"',
  ':{?HOST}',
  '::text',
  `\\! touch ${trace}`,
  '\n\\! exit 1\n',
  '\\q',
  '\\.',
  '\n\\.\n',
  '\\gexec',
  '\\set ON_ERROR_STOP 0',
  '`touch x`',
  "E'",
  "U&'",
  "X'00",
  'é',
  'ß',
  '😀',
  '\u200b',
  '\u202e',
  '\ufeff',
  '\u2028',
]
const text = fc
  .array(fc.oneof(fc.constantFrom(...spices), fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 12 })
  .map((parts) => parts.join(''))
  .filter((one) => !one.includes('\0'))
/** As long as PostgreSQL lets a name be. */
const name = text.filter((one) => one !== '' && Buffer.byteLength(one) <= 63)

test('a value comes back as it was given', async (t) => {
  const property = fc.asyncProperty(text, text, async (one, other) => {
    const select = `SELECT ${quoteLiteral(one)}::text AS one, pg_catalog.octet_length(${quoteLiteral(one)}) AS bytes,${quoteLiteral(other)}::text AS other`
    assert.deepEqual(await session.query(select), [{ one, bytes: Buffer.byteLength(one), other }])
  })
  await holds(t, property, 300)
})

test('a name is the name of what is made by it', async (t) => {
  const property = fc.asyncProperty(name, name, async (table, column) => {
    await session.execute(`CREATE TEMP TABLE ${quoteIdentifier(table)} (${quoteIdentifier(column)} int)`)
    const oid = quoteLiteral(quoteQualified('pg_temp', table))
    const [found] = await session.query(
      `SELECT relname AS table, attname AS column FROM pg_catalog.pg_class c, pg_catalog.pg_attribute a
       WHERE c.oid = ${oid}::pg_catalog.regclass AND a.attrelid = c.oid AND attnum = 1`,
    )
    assert.deepEqual(found, { table, column })
    await session.execute(`DROP TABLE ${quoteQualified('pg_temp', table)}`)
  })
  await holds(t, property, 150)
})

test('a value in a COPY statement, as an extension’s slice would hold it, arrives too', async (t) => {
  const property = fc.asyncProperty(text, async (one) => {
    const hex = await copied(
      session,
      `COPY (SELECT pg_catalog.encode(pg_catalog.convert_to(${quoteLiteral(one)}, 'UTF8'), 'hex')) TO STDOUT`,
    )
    assert.equal(hex.toString(), `${Buffer.from(one).toString('hex')}\n`)
  })
  await holds(t, property, 150)
})

test('nothing of it was a command', () => {
  assert.equal(existsSync(trace), false)
})

test('unquoted, the same text would be a command: an error, so the tests above can fail, and nothing is run', async () => {
  for (const command of [`\\! touch ${trace}`, '\\set x y', '\\q']) {
    const other = await openSession()
    await assert.rejects(
      other.execute(`SELECT 1\n${command}`),
      coded('ERR_PROGRAM', /backslash commands are restricted/),
    )
  }
  assert.deepEqual(await session.query('SELECT :DBNAME AS name FROM (SELECT 1 AS postgres) AS p'), [
    { name: 1 },
  ])
  assert.equal(existsSync(trace), false)
})

test('a zero byte, which PostgreSQL cannot hold, is refused before anything is sent', () => {
  for (const quote of [quoteIdentifier, quoteLiteral]) {
    assert.throws(() => quote('a\0b'), coded('ERR_FORMAT', /zero byte/))
  }
})
