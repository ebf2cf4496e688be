/**
 * The examiner must be able to fail: each single change to a copy of the demo database is found, and is the only
 * thing found; what is equal compares equal. Asks for COFFRE_TEST_PG, the conninfo of a superuser on a throw-away
 * server. Every database made here is dropped here.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  assertSameDatabase,
  assertSameFacts,
  databaseFacts,
  differingFacts,
} from '../compare/compare-databases.ts'
import { assertSameDefinitions } from '../compare/compare-definitions.ts'

const server = process.env['COFFRE_TEST_PG']
const demo = fileURLToPath(new URL('../../src/operations/demo/building-management.sql', import.meta.url))
const run = promisify(execFile)
const made: string[] = []
const original = newName()

function newName(): string {
  return `coffre_compare_${randomBytes(6).toString('hex')}`
}

function conninfo(database: string): string {
  if (server === undefined) throw new Error('COFFRE_TEST_PG must hold the conninfo of a throw-away server')
  return `${server} dbname=${database}`
}

async function psql(database: string, ...args: readonly string[]): Promise<void> {
  await run('psql', ['-X', '-q', '-w', '-v', 'ON_ERROR_STOP=1', '-d', conninfo(database), ...args])
}

async function psqlReading(database: string, statements: string): Promise<void> {
  const psql = spawn('psql', ['-X', '-q', '-w', '-v', 'ON_ERROR_STOP=1', '-d', conninfo(database)])
  psql.stdin.end(statements)
  const [complaint, [status]] = await Promise.all([text(psql.stderr), once(psql, 'close'), text(psql.stdout)])
  assert.equal(status, 0, complaint)
}

async function createDatabase(name: string, template: string): Promise<string> {
  made.push(name)
  await psql('postgres', '-c', `CREATE DATABASE ${name} TEMPLATE ${template} ENCODING 'UTF8'`)
  return name
}

async function loadDemo(name: string): Promise<string> {
  await createDatabase(name, 'template0')
  await psql(name, '-v', 'scale=0.004', '-f', demo)
  return name
}

async function dropDatabases(names: readonly string[]): Promise<void> {
  for (const name of names) {
    await psql('postgres', '-c', `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }
}

before(() => loadDemo(original))
after(() => dropDatabases(made))

test('two loads of the demo database are the same', async () => {
  await assertSameDatabase(conninfo(original), conninfo(await loadDemo(newName())))
})

test('a database restored by pg_dump and pg_restore is the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffre-compare-'))
  try {
    const dump = join(folder, 'dump')
    // A copy made from a template has no settings of its own, and so loses none in a restore.
    const source = await createDatabase(newName(), original)
    await run('pg_dump', ['-w', '-Fc', '-Z0', '-f', dump, '-d', conninfo(source)])
    const restored = await createDatabase(newName(), 'template0')
    await run('pg_restore', ['-w', '--exit-on-error', '-d', conninfo(restored), dump])
    await assertSameDatabase(conninfo(source), conninfo(restored))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('the order of columns and of rows does not matter, and a doubled row does', async () => {
  const left = await createDatabase(newName(), 'template0')
  const right = await createDatabase(newName(), 'template0')
  await psql(
    left,
    '-c',
    "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL), (2, NULL)",
  )
  await psql(
    right,
    '-c',
    "CREATE TABLE t (b text, a int); INSERT INTO t VALUES (NULL, 2), ('x', 1), (NULL, 2)",
  )
  await assertSameDatabase(conninfo(left), conninfo(right))
  await psql(right, '-c', "UPDATE t SET a = 1, b = 'x'; DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)")
  await psql(right, '-c', 'INSERT INTO t (a) VALUES (2)')
  await assert.rejects(
    assertSameDatabase(conninfo(left), conninfo(right)),
    /2 facts differ[^]*"rows", "public.t", 3/,
  )
})

/** The kinds of the differing facts, each once: `- ["rows", …` is of the kind `rows`. */
function kindsOf(differing: readonly string[]): readonly string[] {
  return [...new Set(differing.map((line) => line.split('"', 2)[1] ?? ''))].sort()
}

const firstUnit = 'SELECT min(id::text)::uuid FROM public.units'

/** What is changed, how, and the kinds of facts that must differ then: these and no others. */
const changes: readonly (readonly [what: string, how: string, kinds: readonly string[]])[] = [
  ['one value', `UPDATE public.units SET unit_number = 'x' WHERE id = (${firstUnit})`, ['rows']],
  ['a NULL that became empty', "UPDATE public.iot_readings SET note = '' WHERE note IS NULL", ['rows']],
  [
    'the last digit of a float',
    'UPDATE public.edge_values SET float8 = 0.10000000000000002 WHERE id = 1',
    ['rows'],
  ],
  ['a trailing blank', "UPDATE public.owners SET phone = phone || ' '", ['rows']],
  [
    'a value exchanged between two rows',
    `UPDATE public.resource_bookings a SET booked_by = b.booked_by FROM public.resource_bookings b
     WHERE (a.id, b.id) IN ((1, 2), (2, 1))`,
    ['rows'],
  ],
  ['a lost row', `DELETE FROM public.unit_owners WHERE unit_id = (${firstUnit})`, ['rows']],
  [
    'a lost row of a table without columns',
    'DELETE FROM public.presence WHERE ctid = (SELECT min(ctid) FROM public.presence)',
    ['rows'],
  ],
  ['a lost row of a partition', "DELETE FROM public.audit_logs WHERE occurred_at < '2023-07-01'", ['rows']],
  ['a missing index', 'DROP INDEX public.owners_name', ['index']],
  [
    'an index that is not valid',
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.iot_readings_device'::regclass",
    ['index'],
  ],
  ['a sequence one further', "SELECT nextval('public.ticket_messages_id_seq')", ['sequence value']],
  ['a sequence called once', "SELECT setval('public.contract_number_seq', 742, true)", ['sequence value']],
  ['a sequence with another step', 'ALTER SEQUENCE public.contract_number_seq INCREMENT 2', ['sequence']],
  ['a byte of a large object', "SELECT lo_put(90001, 299999, '\\x00')", ['large object']],
  ['a lost large object', 'SELECT lo_unlink(90003)', ['large object', 'owner', 'privilege']],
  ['a changed comment', "COMMENT ON TABLE public.units IS 'what is owned'", ['comment']],
  ['a lost comment of a large object', 'COMMENT ON LARGE OBJECT 90001 IS NULL', ['comment']],
  ['a comment of the database', 'COMMENT ON DATABASE :"DBNAME" IS $$x$$', ['database']],
  ['a setting of the database', 'ALTER DATABASE :"DBNAME" SET work_mem = \'5MB\'', ['database setting']],
  ['a right on the database', 'REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC', ['database privilege']],
  ['a right on a function', 'GRANT EXECUTE ON FUNCTION public.record_change() TO PUBLIC', ['privilege']],
  ['a right on a column', 'REVOKE SELECT (name) ON public.buildings FROM PUBLIC', ['privilege']],
  ['another owner', 'ALTER TYPE public.metric OWNER TO pg_monitor', ['owner', 'privilege']],
  ['a lost default', 'ALTER TABLE public.users ALTER COLUMN disabled DROP DEFAULT', ['column']],
  [
    'the length of a type',
    'ALTER TABLE public.edge_values ALTER COLUMN flags TYPE bit varying(13)',
    ['column'],
  ],
  [
    'a constraint that was never checked',
    "UPDATE pg_constraint SET convalidated = false WHERE conname = 'debit_xor_credit'",
    ['constraint'],
  ],
  ['a trigger switched off', 'ALTER TABLE public.owners DISABLE TRIGGER touch', ['trigger']],
  ['the body of a function', 'ALTER FUNCTION public.touch() COST 3', ['function']],
  ['a view', 'ALTER VIEW accounting.account_balances RESET (security_barrier)', ['relation']],
  ['a view not filled', 'REFRESH MATERIALIZED VIEW public.building_summary WITH NO DATA', ['relation']],
  ['row security switched off', 'ALTER TABLE public.tickets DISABLE ROW LEVEL SECURITY', ['relation']],
  ['a lost policy', 'DROP POLICY nothing_urgent ON public.tickets', ['policy']],
  ['a label of an enum', "ALTER TYPE public.metric RENAME VALUE 'co2' TO 'CO2'", ['rows', 'type']],
  [
    'a check of a domain',
    'ALTER DOMAIN public.email_address DROP CONSTRAINT looks_like_an_address',
    ['constraint'],
  ],
  ['a logged table', 'ALTER TABLE public.web_sessions SET LOGGED', ['relation']],
]

test('every single change is found, and nothing else', async (t) => {
  const database = await createDatabase(newName(), original)
  let earlier = await databaseFacts(conninfo(database))
  for (const [what, how, kinds] of changes) {
    await t.test(what, async () => {
      // From standard input, since psql fills in :"DBNAME" there and not in -c.
      await psqlReading(database, how)
      const now = await databaseFacts(conninfo(database))
      const differing = differingFacts(earlier, now)
      earlier = now
      assert.deepEqual(kindsOf(differing), kinds, differing.join('\n'))
    })
  }
})

test('the text of pg_dump tells two databases apart, and not by the order of things', async () => {
  const left = await createDatabase(newName(), 'template0')
  const right = await createDatabase(newName(), 'template0')
  const functions = ['one', 'two'].map(
    (name) => `CREATE FUNCTION ${name}() RETURNS int LANGUAGE sql AS 'SELECT 1';`,
  )
  await psql(left, '-c', `CREATE TABLE t (a int, b text); ${functions.join('')}`)
  await psql(right, '-c', `${functions.toReversed().join('')} CREATE TABLE t (b text, a int)`)
  await assertSameDefinitions(conninfo(left), conninfo(right))
  await psql(right, '-c', 'ALTER TABLE t ALTER COLUMN a SET NOT NULL')
  await assert.rejects(
    assertSameDefinitions(conninfo(left), conninfo(right)),
    /2 objects that differ[^]*a integer NOT NULL/,
  )
  const empty = await createDatabase(newName(), 'template0')
  await assert.rejects(assertSameDefinitions(conninfo(empty), conninfo(empty)), /no definitions/)
})

test('a failed comparison shows the first thirty differing facts', () => {
  const left = Array.from({ length: 40 }, (_, n) => `["rows", "t${n}", 1]`).sort()
  assert.throws(
    () => assertSameFacts(left, []),
    (error) => error instanceof assert.AssertionError && error.message.split('\n').length === 31,
  )
  assert.throws(() => assertSameFacts([], []), /no facts/)
  assert.deepEqual(differingFacts(['a', 'b', 'b', 'd'], ['b', 'c', 'd', 'e']), ['- a', '- b', '+ c', '+ e'])
})

test('the facts can be those of an exported snapshot', async () => {
  const database = await createDatabase(newName(), original)
  const earlier = await databaseFacts(conninfo(database))
  const holder = spawn('psql', ['-X', '-q', '-A', '-t', '-w', '-d', conninfo(database)])
  try {
    holder.stdin.write('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot();\n')
    const [line] = await once(createInterface(holder.stdout), 'line')
    await psql(database, '-c', "DELETE FROM public.presence; SELECT lo_put(90006, 0, 'new')")
    const now = await databaseFacts(conninfo(database))
    assert.deepEqual(kindsOf(differingFacts(earlier, now)), ['large object', 'rows'])
    assertSameFacts(earlier, await databaseFacts(conninfo(database), { snapshot: String(line) }))
  } finally {
    holder.stdin.end()
    await once(holder, 'close')
  }
})

test('a database that cannot be asked is an error, not an empty list', async () => {
  await assert.rejects(databaseFacts(conninfo(newName())), /does not exist/)
})
