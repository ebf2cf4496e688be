/**
 * What every session promises, against a real server, whichever way it is carried: what it sends arrives byte for byte and
 * is whole, or an error is thrown that says why, and says nothing of the rows.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import { inDatabase, type ServerAccess } from '../../src/postgres/conninfo.ts'
import type { Session } from '../../src/postgres/session.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import { holds } from '../support/property.ts'
import { copied, testAccess } from '../support/session.ts'
import { bytesOf, chunked, coded } from './contract-materials.ts'

export type OpenSession = (access: ServerAccess, signal?: AbortSignal) => Promise<Session>

const escapes: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
])

/** As COPY writes a value (PostgreSQL documentation, COPY, Text Format). */
function copyText(value: string | null): string {
  if (value === null) return '\\N'
  return value.replace(/[\\\b\f\n\r\t\v]/g, (character) => escapes.get(character) ?? '')
}

const copyRows = (rows: readonly (readonly (string | null)[])[]): Buffer =>
  Buffer.from(rows.map((row) => `${row.map(copyText).join('\t')}\n`).join(''))

/** Reads a COPY that will not succeed; returns what came and the error. A COPY that ends well fails the test. */
export async function failing(
  own: Session,
  statement: string,
  onFirst: () => Promise<unknown> = async () => undefined,
): Promise<{ bytes: number; error: CoffreError }> {
  let bytes = 0
  try {
    for await (const chunk of own.copyTo(statement)) {
      if (bytes === 0) await onFirst()
      bytes += chunk.length
    }
  } catch (error) {
    assert.ok(error instanceof CoffreError, inspect(error))
    return { bytes, error }
  }
  return assert.fail('reported as complete')
}

export const endless =
  "COPY (SELECT pg_catalog.generate_series(1, 1000000000), pg_catalog.repeat('x', 100)) TO STDOUT"

export function sessionContract(carrier: string, open: OpenSession): void {
  let database: TestDatabase
  let session: Session
  before(async () => {
    database = await makeDatabase('session')
    session = await open(testAccess(database.name))
  })
  after(async () => {
    session.kill()
    await database[Symbol.asyncDispose]()
  })

  async function inSession<T>(work: (own: Session) => Promise<T>): Promise<T> {
    const own = await open(testAccess(database.name))
    try {
      return await work(own)
    } finally {
      own.kill()
    }
  }

  describe(`rows over ${carrier}`, () => {
    const value = fc.oneof(
      fc.constantFrom(
        '',
        '\\',
        '\\.',
        '\\N',
        '\\\\.',
        '.',
        'N',
        '\n\\.\n',
        '\r',
        '\r\n',
        '\t',
        "'",
        ':DBNAME',
        '\\! exit',
        ';',
      ),
      fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => !text.includes('\0')),
    )
    const rows = fc.array(fc.tuple(fc.option(value), fc.option(value)), { maxLength: 40 })

    test('of any content go in and come out byte for byte, in any pieces', async (t) => {
      await session.execute('CREATE TEMP TABLE two (a text, b text)')
      const property = fc.asyncProperty(
        rows,
        fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
        async (all, sizes) => {
          const bytes = copyRows(all)
          await session.execute('TRUNCATE two')
          await session.copyFrom('COPY two FROM STDIN', chunked(bytes, sizes))
          assert.deepEqual(await copied(session, 'COPY two TO STDOUT'), bytes)
          const found = await session.query('SELECT a, b FROM two')
          assert.deepEqual(
            found,
            all.map(([a, b]) => ({ a, b })),
          )
        },
      )
      await holds(t, property, 120)
    })

    test('of one column, with empty rows, lone escapes and what looks like an end', async (t) => {
      await session.execute('CREATE TEMP TABLE one (a text)')
      const property = fc.asyncProperty(fc.array(value, { maxLength: 60 }), async (all) => {
        const bytes = copyRows(all.map((text) => [text]))
        await session.execute('TRUNCATE one')
        await session.copyFrom('COPY one FROM STDIN', chunked(bytes))
        assert.deepEqual(await copied(session, 'COPY one TO STDOUT'), bytes)
      })
      await holds(t, property, 80)
    })

    test('without columns keep their number', async () => {
      await session.execute('CREATE TEMP TABLE none ()')
      await session.copyFrom('COPY none FROM STDIN', chunked(Buffer.from('\n\n\n')))
      assert.equal((await copied(session, 'COPY none TO STDOUT')).toString(), '\n\n\n')
    })

    test('of three megabytes each arrive whole', async () => {
      await session.execute('CREATE TEMP TABLE wide (a text, b bytea)')
      const text = bytesOf(2_250_000, 7).toString('base64')
      const bytea = `\\\\x${bytesOf(1_500_000, 8).toString('hex')}`
      const bytes = Buffer.from(`${text}\t${bytea}\n${copyText('\\.\n'.repeat(1_000_000))}\t\\N\n`)
      await session.copyFrom('COPY wide FROM STDIN', chunked(bytes, [65_536, 1, 1_000_003]))
      assert.ok((await copied(session, 'COPY wide TO STDOUT')).equals(bytes))
    })

    test('none give no bytes, and a query no rows', async () => {
      assert.equal((await copied(session, 'COPY (SELECT 1 WHERE false) TO STDOUT')).length, 0)
      assert.deepEqual(await session.query('SELECT 1 AS a WHERE false'), [])
    })

    test('of a query are JSON, whatever is in them', async () => {
      const [row] =
        await session.query(`SELECT 1 AS n, NULL AS nothing, E'a\\\\b\\n"c"\\t' AS text, '[1,\n 2]'::json AS list,
      9007199254740993::text AS big, array['x', NULL] AS many, true AS "yes ""no""" -- not the end`)
      assert.deepEqual(row, {
        n: 1,
        nothing: null,
        text: 'a\\b\n"c"\t',
        list: [1, 2],
        big: '9007199254740993',
        many: ['x', null],
        'yes "no"': true,
      })
    })
  })

  describe(`what fails half way over ${carrier}`, () => {
    test('a COPY that meets an error is never complete, however much it sent', async () => {
      await inSession(async (own) => {
        const { bytes, error } = await failing(
          own,
          'COPY (SELECT 100 / (60000 - n) FROM pg_catalog.generate_series(1, 100000) n) TO STDOUT',
        )
        assert.ok(bytes > 50_000)
        assert.ok(coded('ERR_POSTGRES', /22012: division by zero$/)(error))
      })
    })

    test('the server ended the session: an error that says so', async () => {
      await inSession(async (own) => {
        const [row] = await own.query('SELECT pg_catalog.pg_backend_pid() AS pid')
        const { pid } = row as { pid: number }
        const { bytes, error } = await failing(own, endless, () =>
          sql('postgres', `SELECT pg_terminate_backend(${pid})`),
        )
        assert.ok(bytes > 0)
        assert.ok(
          coded('ERR_POSTGRES', /57P01|server closed the connection|connection to server was lost/)(error),
        )
        assert.match(error.hint, /the server ended the session/)
      })
    })

    test('an abort ends it with ERR_INTERRUPTED, and no other begins', async () => {
      const abort = new AbortController()
      const own = await open(testAccess(database.name), abort.signal)
      const { error } = await failing(own, endless, async () => abort.abort())
      assert.equal(error.code, 'ERR_INTERRUPTED')
      await assert.rejects(open(testAccess(database.name), abort.signal), { name: 'AbortError' })
    })

    test('a load whose input fails leaves nothing behind', async () => {
      await database.sql('CREATE TABLE loaded (a int)')
      async function* input(): AsyncGenerator<Buffer> {
        for (let n = 0; n < 5000; n += 1) yield Buffer.from(`${n}\n`.repeat(100))
        throw new CoffreError('ERR_DIGEST', 'the rest is not what was signed')
      }
      await inSession(async (own) => {
        await own.execute('BEGIN')
        await own.copyFrom('COPY public.loaded FROM STDIN', chunked(Buffer.from('1\n2\n')))
        await assert.rejects(own.copyFrom('COPY public.loaded FROM STDIN', input()), coded('ERR_DIGEST'))
        await assert.rejects(own.execute('COMMIT'))
      })
      assert.equal(await database.sql('SELECT count(*) FROM loaded'), '0')
    })

    test('a load the server refuses is an error, at its end or in the middle of its input', async () => {
      async function* input(pieces: number): AsyncGenerator<Buffer> {
        for (let n = 0; n < pieces; n += 1) yield Buffer.from('not a number\n'.repeat(1000))
      }
      await inSession(async (own) => {
        await own.execute('BEGIN')
        await assert.rejects(
          own.copyFrom('COPY public.loaded FROM STDIN', input(100)),
          coded('ERR_POSTGRES', /22P02/),
        )
      })
      // More than a pipe holds.
      await inSession((own) =>
        assert.rejects(
          own.copyFrom('COPY public.nowhere FROM STDIN', input(500)),
          coded('ERR_POSTGRES', /42P01/),
        ),
      )
    })

    test('two statements at once are refused, and the first is none the worse', async () => {
      await inSession(async (own) => {
        await own.execute('CREATE TEMP TABLE slow (a int)')
        const first = own.query('SELECT pg_catalog.pg_sleep(0.2) IS NULL AS a')
        await assert.rejects(own.execute('SELECT 1'), coded('ERR_INTERNAL', /one statement at a time/))
        assert.deepEqual(await first, [{ a: false }])
        async function* input(): AsyncGenerator<Buffer> {
          yield Buffer.from('1\n')
          await assert.rejects(own.execute('SELECT 1'), coded('ERR_INTERNAL', /one statement at a time/))
          await assert.rejects(
            own.copyFrom('COPY slow FROM STDIN', chunked(Buffer.from('9\n'))),
            coded('ERR_INTERNAL', /one statement at a time/),
          )
          yield Buffer.from('2\n')
        }
        await own.copyFrom('COPY slow FROM STDIN', input())
        assert.equal((await copied(own, 'COPY slow TO STDOUT')).toString(), '1\n2\n')
      })
    })
  })

  describe(`settings of the database and of the role, over ${carrier}`, () => {
    const hostile = [
      "statement_timeout = '20ms'",
      "lock_timeout = '20ms'",
      "idle_in_transaction_session_timeout = '20ms'",
      "idle_session_timeout = '20ms'",
      'default_transaction_read_only = on',
      'standard_conforming_strings = off',
      "DateStyle = 'SQL, DMY'",
      'IntervalStyle = sql_standard',
      "TimeZone = 'Asia/Kolkata'",
      'bytea_output = escape',
      'extra_float_digits = -5',
      'row_security = on',
      'client_min_messages = debug1',
      'search_path = public',
    ]

    test('do not end a session, nor change how it writes a value', async () => {
      const role = `hasty_${carrier}_${process.pid}`
      const all = hostile.flatMap((one) => [
        `ALTER DATABASE "${database.name}" SET ${one}`,
        `ALTER ROLE ${role} SET ${one}`,
      ])
      await database.sql(`CREATE ROLE ${role} SUPERUSER LOGIN; ${all.join('; ')}`)
      try {
        const access = inDatabase(
          { ...testAccess(''), parameters: { ...testAccess('').parameters, user: role } },
          database.name,
        )
        const own = await open(access)
        await own.execute('SELECT pg_catalog.pg_sleep(0.1)')
        await sleep(100)
        await own.execute('BEGIN')
        await sleep(100)
        const values = await copied(
          own,
          `COPY (SELECT timestamptz '2026-11-23 02:00:00+00', interval '1 day -2 hours', bytea '\\x00ff', 0.1::float8 + 0.2::float8,
           pg_catalog.current_setting('row_security'), '\\' = E'\\\\') TO STDOUT`,
        )
        assert.equal(
          values.toString(),
          '2026-11-23 02:00:00+00\t1 day -02:00:00\t\\\\x00ff\t0.30000000000000004\toff\tt\n',
        )
        await own.execute('COMMIT; CREATE TABLE public.written (a int); DROP TABLE public.written')
        await own.close()
      } finally {
        await sql('postgres', `ALTER DATABASE "${database.name}" RESET ALL; DROP ROLE ${role}`)
      }
    })
  })
}
