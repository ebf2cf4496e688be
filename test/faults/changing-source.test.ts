/** A source that is changed while it is read, by a deployment or by somebody who means harm. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, startCoffre, type Workshop } from '../support/coffre.ts'
import { holdBackup, outOfLine } from '../support/held-backup.ts'
import { pauseDumps } from '../support/paused-dump.ts'
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

test('a table that is truncated just before it is locked is not read as empty; one that is made then is locked like all others', async () => {
  await database.sql('CREATE TABLE refilled AS SELECT generate_series(1, 10) AS n')
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-slow-'))
  try {
    using paused = pauseDumps()
    const [dumps, ...rest] = (paused.environment['PATH'] ?? '').split(':')
    // Holds what is on its way to psql before the first lock.
    const hold = `touch '${folder}/asked'; while [ ! -e '${folder}/go' ]; do sleep 0.05; done`
    const script = `#!/bin/sh\nPATH='${rest.join(':')}'\nsed -u "/^LOCK TABLE/e ${hold}" | psql "$@"\n`
    await writeFile(join(folder, 'psql'), script, { mode: 0o755 })
    const environment = { PATH: [dumps, folder, ...rest].join(':') }
    const { ended } = startCoffre(['backup', '--json'], { cwd: workshop.folder, env: environment })
    await eventually('coffre is about to lock', () => existsSync(join(folder, 'asked')))
    await database.sql(`BEGIN; TRUNCATE refilled; INSERT INTO refilled VALUES (1), (2), (3); COMMIT;
      CREATE TABLE made AS SELECT 1 AS n`)
    await writeFile(join(folder, 'go'), '')
    await paused.snapshot()
    // By the transaction that began first: a lane that reads the table locks it as well.
    const locked = await database.sql(`SELECT count(*) FROM pg_locks WHERE relation = 'made'::regclass
      AND mode = 'AccessShareLock' AND granted AND pid = (SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'coffre shop%' ORDER BY xact_start LIMIT 1)`)
    paused.resume()
    const { status, stdout, stderr } = await ended
    assert.equal(status, 0, stderr)
    assert.equal(locked, '1')
    // One each of z, made and the orders, blue and green.
    assert.equal((JSON.parse(stdout) as { rows: number }).rows, 3 + 4)
  } finally {
    await rm(folder, { recursive: true })
  }
})
