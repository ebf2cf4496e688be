/**
 * An ALTER that is started while a backup runs, by a deployment at night: it waits for the backup, and everybody who wants
 * the table waits behind it (hazard 3). The backup does not: it reads such tables over the session that has them locked.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import {
  beginInSnapshot,
  isLockRefused,
  lockWithoutWaiting,
  SourceSnapshot,
} from '../../src/postgres/source-snapshot.ts'
import { makeWorkshop, startCoffre, type Workshop } from '../support/coffre.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { queueLock } from '../support/queued-lock.ts'
import { environment, testAccess, withSession } from '../support/session.ts'

let database: TestDatabase
let workshop: Workshop

before(async () => {
  database = await makeDatabase('altered')
  await database.sql(`CREATE TABLE orders AS SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) n;
    CREATE TABLE large AS SELECT n, repeat(md5(n::text), 60) AS text FROM generate_series(1, 60000) n;
    CREATE TABLE plain AS SELECT n FROM generate_series(1, 10) n; CREATE SEQUENCE s START 7;
    SELECT lo_from_bytea(0, 'large object')`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 1 } } })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

test('tables that an ALTER waits for, and large objects, are backed up without waiting behind it, row for row', async () => {
  // One lane: it has the definitions, and comes to the rows when the statements wait.
  using paused = pauseDumps({ at: 'end' })
  const { ended } = startCoffre(['backup', '--json'], { cwd: workshop.folder, env: paused.environment })
  await paused.snapshot()
  await using one = await queueLock(database, 'BEGIN; ALTER TABLE orders ADD COLUMN more int; ROLLBACK')
  await using other = await queueLock(database, 'BEGIN; LOCK TABLE large; ROLLBACK')
  paused.resume()
  const { status, stderr } = await ended
  assert.equal(status, 0, stderr)
  // They got what they waited for when the backup had ended, and not before.
  assert.deepEqual(await Promise.all([one.ended, other.ended]), [0, 0])
  await workshop.coffre(['verify', '--all'])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

test('a lane that would have to wait behind an ALTER is refused at once', async () => {
  const options = { environment, applicationName: 'coffre shop', lockTimeoutMs: 10_000 }
  await using snapshot = await SourceSnapshot.take(testAccess(database.name), options)
  await using queued = await queueLock(database, 'BEGIN; ALTER TABLE orders ADD COLUMN more int; ROLLBACK')
  assert.ok(queued.backend)
  await withSession(testAccess(database.name), async (lane) => {
    // Without an end to its waiting, if it did wait.
    await beginInSnapshot(lane, snapshot.handle, 0)
    const refused: unknown = await lockWithoutWaiting(lane, [{ schema: 'public', name: 'orders' }]).catch(
      (error: unknown) => error,
    )
    assert.ok(isLockRefused(refused), String(refused))
  })
})

test('definitions that wait behind an ALTER fail the backup after a while, and the error names the table and who alters it', async () => {
  using paused = pauseDumps({ lockWait: '300ms' })
  const { ended } = startCoffre(['backup', '--json'], { cwd: workshop.folder, env: paused.environment })
  await paused.snapshot()
  await using queued = await queueLock(database, 'BEGIN; ALTER TABLE orders ADD COLUMN more int; ROLLBACK')
  paused.resume()
  const { status, stderr } = await ended
  assert.equal(status, 1, stderr)
  const { error } = JSON.parse(stderr.split('\n').find((line) => line.startsWith('{')) ?? '') as {
    error: { code: string; message: string; hint: string }
  }
  assert.equal(error.code, 'ERR_POSTGRES')
  const who = `process ${queued.backend} \\(role "postgres", "queued_\\S+"\\) waits for "public"."orders" exclusively`
  assert.match(error.message, new RegExp(`^pg_dump ended .*timeout: ${who}`))
  assert.match(error.hint, new RegExp(`SELECT pg_terminate_backend\\(${queued.backend}\\)`))
})

test('a table that cannot be locked in time is named, and the prepared transaction that holds it by its gid', async () => {
  const gid = `left behind ${process.pid}`
  const options = { environment, applicationName: 'coffre shop', lockTimeoutMs: 300 }
  await database.sql(`BEGIN; ALTER TABLE orders ADD COLUMN more int; PREPARE TRANSACTION '${gid}'`)
  try {
    await assert.rejects(SourceSnapshot.take(testAccess(database.name), options), {
      code: 'ERR_POSTGRES',
      message: new RegExp(`lock timeout: the prepared transaction "${gid}" holds "public"."orders"$`),
      hint: new RegExp(`ROLLBACK PREPARED '${gid}'`),
    })
  } finally {
    await database.sql(`ROLLBACK PREPARED '${gid}'`)
  }
  await using snapshot = await SourceSnapshot.take(testAccess(database.name), options)
  await snapshot.assertAlive()
})
