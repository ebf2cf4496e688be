/** What people are told when a statement or a start of psql fails: the kind, what to do, and nothing of the rows. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { CoffreError } from '../../src/errors.ts'
import { PsqlSession } from '../../src/postgres/psql-session.ts'
import { chunked, coded } from '../contract/contract-materials.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { environment, openSession, testAccess, withSession } from '../support/session.ts'

let database: TestDatabase
before(async () => {
  database = await makeDatabase('psql_told')
})
after(() => database[Symbol.asyncDispose]())

const secret = `s3cret${randomBytes(6).toString('hex')}`

async function told(statement: string, data?: string): Promise<CoffreError> {
  return await withSession(testAccess(database.name), async (own) => {
    const run =
      data === undefined ? own.execute(statement) : own.copyFrom(statement, chunked(Buffer.from(data)))
    try {
      await run
    } catch (error) {
      assert.ok(error instanceof CoffreError, inspect(error))
      assert.doesNotMatch(inspect(error, { depth: 9 }) + error.hint, new RegExp(secret))
      return error
    }
    return assert.fail('no error')
  })
}

test('a row that a constraint refuses is not shown', async () => {
  await database.sql('CREATE TABLE checked (a text, n int CHECK (n > 0), u text UNIQUE)')
  const error = await told('COPY public.checked FROM STDIN', `${secret}\t-1\t${secret}\n`)
  assert.ok(coded('ERR_POSTGRES', /23514: new row for relation "checked" violates check constraint/)(error))
  const lines = await told(
    'COPY public.checked FROM STDIN',
    `a\\n${secret}\\nERROR:  42501: permission denied\t-1\tx\n`,
  )
  assert.doesNotMatch(lines.hint, /grant/)
  const twice = await told('COPY public.checked FROM STDIN', `a\t1\t${secret}\nb\t1\t${secret}\n`)
  assert.match(twice.message, /23505: duplicate key value violates unique constraint/)
})

test('nor is one that is wider than what is kept of stderr', async () => {
  const columns = Array.from({ length: 900 }, (_, n) => `c${n} text`)
  await database.sql(`CREATE TABLE broad (${columns.join(', ')}, CHECK (c0 = 'x'))`)
  const error = await told(
    'COPY public.broad FROM STDIN',
    `${Array.from({ length: 900 }, () => secret.padEnd(64, '.')).join('\t')}\n`,
  )
  assert.match(
    error.message,
    /23514: new row for relation "broad" violates check constraint "broad_c0_check"$/,
  )
})

test('nor is a value of the wrong type, in the middle of a load or in a statement', async () => {
  const error = await told('COPY public.checked (n) FROM STDIN', `1\n${secret}\n`)
  assert.match(error.message, /22P02: invalid input syntax for type integer: "…"$/)
  await told(`SELECT '${secret}'::int`)
  await told(`SELECT ('${secret}' || E'\\n' || '${secret}')::date`)
  await told(`DO $$ BEGIN EXECUTE 'SELECT 1/0 AS ${secret}'; END $$`)
  await told(`SELECT '{"a": "${secret}'::json`)
})

test('what the server says by its code has a hint that helps', async () => {
  await database.sql('DROP ROLE IF EXISTS nobody_much; CREATE ROLE nobody_much; CREATE TABLE mine (a int)')
  const denied = await told('SET ROLE nobody_much; SELECT * FROM public.mine')
  assert.ok(coded('ERR_POSTGRES', /42501: permission denied for table mine/)(denied))
  assert.match(denied.hint, /pg_read_all_data/)
  await database.sql('DROP ROLE nobody_much')
  assert.match(
    (await told('SELECT * FROM public.nowhere')).message,
    /42P01: relation "public.nowhere" does not exist/,
  )
})

test('a place that is not there is ERR_CONNECT, with what to try', async () => {
  const nowhere = testAccess(`nowhere_${secret.slice(-6)}`)
  await assert.rejects(openSession(nowhere), coded('ERR_CONNECT', /database ".*" does not exist/))
  const noServer = { ...nowhere, parameters: { host: '127.0.0.1', port: '1', dbname: 'x' } }
  await assert.rejects(openSession(noServer), (error) => {
    assert.ok(coded('ERR_CONNECT', /Connection refused/)(error))
    return /reachable/.test((error as CoffreError).hint)
  })
})

const wrongPrefixes: readonly (readonly [what: string, prefix: readonly string[], message: RegExp])[] = [
  [
    'that is no program',
    ['/nonexistent/docker', 'exec'],
    /cannot start \/nonexistent\/docker: there is no such program/,
  ],
  ['that is no file to run', ['/etc/passwd'], /cannot start \/etc\/passwd/],
  ['behind which there is no psql', ['env', 'PATH=/nonexistent'], /status 127: .*psql/],
  [
    'that finds no container',
    ['sh', '-c', 'echo "Error response from daemon: No such container: db" >&2; exit 1', '--'],
    /status 1: Error response from daemon: No such container: db/,
  ],
  ['that does nothing', ['true'], /psql ended before it was asked to|it said nothing/],
  ['that fails silently', ['false'], /it said nothing/],
]
for (const [what, prefix, message] of wrongPrefixes) {
  test(`a command prefix ${what} is ERR_PROGRAM, and says where to look`, async () => {
    await assert.rejects(openSession({ ...testAccess('postgres'), prefix }), (error) => {
      assert.ok(coded('ERR_PROGRAM', message)(error))
      return /command prefix/.test((error as CoffreError).hint)
    })
  })
}

test('a command prefix that works carries everything, and hands no password on', async () => {
  const access = { ...testAccess('postgres'), prefix: ['env', 'PGAPPNAME=never'] }
  const own = await PsqlSession.open(access, { environment, applicationName: "it's coffre" })
  const [row] = await own.query("SELECT pg_catalog.current_setting('application_name') AS name")
  assert.deepEqual(row, { name: "it's coffre" })
  await own.close()
})
