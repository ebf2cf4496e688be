/** A source that is changed while it is read, by a deployment or by somebody who means harm. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { makeWorkshop, startCoffre, type Workshop } from '../support/coffre.ts'
import { holdBackup, outOfLine } from '../support/held-backup.ts'
import { eventually } from '../support/patience.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let workshop: Workshop

before(async () => {
  database = await makeDatabase('changing')
  await database.sql(`CREATE SCHEMA blue; CREATE SCHEMA green; CREATE TABLE z AS SELECT ${outOfLine} AS wide;
    CREATE TABLE blue.orders AS SELECT 'blue' AS colour; CREATE TABLE green.orders AS SELECT 'green' AS colour;
    CREATE SEQUENCE s`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

test('schemas that swap their names during a backup fail it: no rows are kept under the other name', async () => {
  // A lane is about to read `z`, and the tables of both schemas are locked: renaming a schema needs no such lock.
  await using held = await holdBackup(database, 'z', ['backup', '--json'], { cwd: workshop.folder })
  await database.sql(
    `ALTER SCHEMA blue RENAME TO red; ALTER SCHEMA green RENAME TO blue; ALTER SCHEMA red RENAME TO green`,
  )
  await held.release()
  const { status, stderr } = await held.ended
  assert.equal(status, 1, stderr)
  assert.match(stderr, /"code":"ERR_SOURCE".*schemas or tables were renamed during the backup/)
  assert.deepEqual(await workshop.json(['list']), { backups: [] })
})

test('a sequence that becomes a view while coffre waits for it does not run its owner’s code', async () => {
  const psql = spawn('psql', ['-X', '-q', '-A', '-t', '-d', database.conninfo], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  // The code would stop the backup with its own message.
  psql.stdin.write(`BEGIN; DROP SEQUENCE s;
    CREATE FUNCTION harm() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE 'harm was done'; END$$;
    CREATE VIEW s AS SELECT harm() AS last_value, true AS is_called; SELECT 'ready';\n`)
  await once(psql.stdout, 'data')
  const { ended } = startCoffre(['backup', '--json'], { cwd: workshop.folder })
  await eventually('coffre waits for the sequence', async () => {
    const waiting = await database.sql(
      `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 's'::regclass AND locktype = 'relation'`,
    )
    return waiting !== '0'
  })
  psql.stdin.end('COMMIT;\n')
  const { status, stderr } = await ended
  assert.equal(status, 1, stderr)
  assert.match(stderr, /access to non-system view .*s.* is restricted/)
  assert.doesNotMatch(stderr, /harm/)
})
