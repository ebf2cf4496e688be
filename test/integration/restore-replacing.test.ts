/**
 * `coffre restore --replace`: over a database that is in use. The old one stays as it is until the new one is equal, is kept
 * under another name unless it was to be dropped, and is never lost by a failure. `--dry-run` makes nothing at all.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { conninfoOf, makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'

let server: OwnServer
let database: TestDatabase
let workshop: Workshop
const onServer = (text: string, name = 'postgres'): Promise<string> => sql(name, text, [], server.server)
const databases = (): Promise<string> => onServer('SELECT datname FROM pg_database ORDER BY 1')

before(async () => {
  server = await startOwnServer()
  database = await makeDatabase('origin', server.server)
  await database.sql(`CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL);
    INSERT INTO people (name) SELECT md5(n::text) FROM generate_series(1, 2000) n;
    CREATE ROLE keeper; ALTER TABLE people OWNER TO keeper`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  await workshop.coffre(['backup'])
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

/** The application's database, with what came after the backup. */
beforeEach(async () => {
  const left = await onServer(`SELECT datname FROM pg_database WHERE datname LIKE 'app%'`)
  for (const name of left.split('\n').filter((one) => one !== '')) {
    await onServer(`ALTER DATABASE "${name}" IS_TEMPLATE false`)
    await onServer(`DROP DATABASE "${name}" WITH (FORCE)`)
  }
  await onServer('CREATE DATABASE app TEMPLATE template0')
  await onServer('CREATE TABLE today AS SELECT generate_series(1, 7) AS n', 'app')
})

const words = (...more: readonly string[]): readonly string[] => {
  const to = urlOf('app', server.server)
  return ['restore', 'latest', '--to', to, '--identity', workshop.identity(), ...more]
}

test('a database with something in it is replaced only when asked to be; its sessions end, and it is kept whole', async () => {
  const { code, hint } = await workshop.error(words(), 1)
  assert.equal(code, 'ERR_DESTINATION')
  assert.match(hint, /--replace/)
  assert.equal(await onServer('SELECT count(*) FROM today', 'app'), '7')

  const session = spawn('psql', ['-X', '-q', '-d', conninfoOf('app', server.server)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  session.stdin.on('error', () => undefined)
  session.stdin.write('\\echo there\nSELECT 1;\n')
  await once(session.stdout, 'data')
  const { replaced } = await workshop.json(words('--replace'))
  await assertSameDatabase(database.conninfo, conninfoOf('app', server.server))
  assert.match(String(replaced), /^app_replaced_[0-9a-f]{12}$/)
  assert.equal(await onServer('SELECT count(*) FROM today', String(replaced)), '7')
  session.stdin.end('SELECT 1;\n')
  const [status] = (await once(session, 'close')) as [number]
  assert.notEqual(status, 0, 'the session in the old database was ended')

  // What is kept is never taken for what a killed restore left, which one is told to drop.
  const { stderr, stdout } = await workshop.coffre(words('--replace'))
  assert.doesNotMatch(stderr, /was left by a restore/)
  assert.match(stdout, /the old one is kept as app_replaced_/)
})

test('--drop-replaced drops the old one, once the new one is there; alone it is a mistake', async () => {
  const before = await databases()
  const { replaced } = await workshop.json(words('--replace', '--drop-replaced'))
  assert.equal(replaced, null)
  assert.equal(await databases(), before)
  await assertSameDatabase(database.conninfo, conninfoOf('app', server.server))
  assert.equal((await workshop.error(words('--drop-replaced'), 2)).code, 'ERR_USAGE')
})

test('a name that is free, or an empty database, needs no replacing and keeps nothing', async () => {
  await onServer('DROP TABLE today', 'app')
  const empty = await workshop.json(words('--replace'))
  assert.equal(empty['replaced'], null)
  await onServer('DROP DATABASE app')
  const free = await workshop.json(words('--replace'))
  assert.equal(free['replaced'], null)
  assert.doesNotMatch(await databases(), /app_/)
})

test('a failure leaves the old database where it was, open to all, and nothing beside it', async () => {
  const before = await databases()
  const { id } = await workshop.json(['backup'])
  truncateSync(join(workshop.folder, 'repository/backups/shop', String(id), 'rows/0001.sql.zst.gpg'), 500)
  const damaged = words('--replace', '--drop-replaced').map((word) => (word === 'latest' ? String(id) : word))
  assert.equal((await workshop.error(damaged, 8)).code, 'ERR_DIGEST')
  assert.equal(await databases(), before)
  assert.equal(await onServer('SELECT count(*) FROM today', 'app'), '7')
})

test('what could not be moved out of the way is told at once, before anything is loaded', async () => {
  await onServer('ALTER DATABASE app IS_TEMPLATE true')
  const template = await workshop.error(words('--replace'), 1)
  assert.match(template.message, /"app" cannot be replaced: it is a template/)
  await onServer('ALTER DATABASE app IS_TEMPLATE false; ALTER DATABASE app ALLOW_CONNECTIONS false')
  const shut = await workshop.error(words('--replace'), 1)
  assert.match(shut.message, /lets nobody in/)
  assert.match(shut.hint, /ALTER DATABASE "?app"? ALLOW_CONNECTIONS true/)
  await onServer(
    'ALTER DATABASE app ALLOW_CONNECTIONS true; DROP ROLE IF EXISTS guest; CREATE ROLE guest CREATEDB LOGIN',
  )
  const to = urlOf('app', server.server, 'guest')
  const stranger = words('--replace').map((word) => (word.startsWith('postgres://') ? to : word))
  assert.match((await workshop.error(stranger, 1)).message, /cannot be replaced: this role does not own it/)
  assert.equal(await onServer('SELECT count(*) FROM today', 'app'), '7')
})

test('a dry run looks at everything, says what would be, and makes neither database, role nor folder', async () => {
  const state = (): Promise<string> =>
    onServer('SELECT datname, oid FROM pg_database UNION ALL SELECT rolname, oid FROM pg_roles ORDER BY 1')
  await database.sql('ALTER TABLE people OWNER TO postgres; ALTER ROLE keeper RENAME TO keeper_gone')
  const before = await state()
  const refused = await workshop.error(words('--dry-run'), 1)
  assert.equal(refused.code, 'ERR_DESTINATION')
  const document = await workshop.json(words('--dry-run', '--replace'))
  const { ok, dryRun, tables, rows, rolesCreated } = document
  assert.deepEqual([ok, dryRun, tables, rows, rolesCreated], [true, true, 1, 2000, ['keeper']])
  const { stdout, stderr } = await workshop.coffre(words('--dry-run', '--replace'))
  assert.match(
    stdout,
    /^dry run, nothing was made: .* 1 tables and 2000 rows; it would create the roles keeper/,
  )
  assert.match(stderr, /its sessions \(\d+ now\) are ended, and it is kept as "app_replaced_/)
  assert.equal(await state(), before)
  await database.sql('ALTER ROLE keeper_gone RENAME TO keeper; ALTER TABLE people OWNER TO keeper')

  const folder = ['restore', 'latest', '--identity', workshop.identity(), '--dry-run', '--to-directory']
  const files = await workshop.json([...folder, 'plain'])
  assert.deepEqual([files['dryRun'], files['files']], [true, []])
  assert.ok(!existsSync(join(workshop.folder, 'plain')))
  assert.match((await workshop.error([...folder, 'keys'], 1)).message, /is not empty/)
  assert.match((await workshop.error([...folder, 'no/where'], 1)).message, /does not exist/)
})
