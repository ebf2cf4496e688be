/**
 * A standby as the source (hazard 8): all that is replicated comes back; what is not is named; a backup that is in the way
 * of the replay fails and says what to do.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, startCoffre, type Workshop } from '../support/coffre.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { manifestsIn } from '../support/repository-folder.ts'
import { startStandby, type Standby } from '../support/standby.ts'

let primary: OwnServer
let standby: Standby
let database: TestDatabase
let workshop: Workshop

before(async () => {
  primary = await startOwnServer()
  database = await makeDatabase('followed', primary.server)
  await database.sql(`CREATE TABLE kept AS SELECT n, md5(n::text) AS text FROM generate_series(1, 5000) n;
    CREATE UNLOGGED TABLE "Cache" (id bigserial PRIMARY KEY, value text); INSERT INTO "Cache" (value) SELECT 'x' FROM generate_series(1, 10);
    SELECT lo_from_bytea(4711, 'large'); CREATE SEQUENCE numbers; SELECT setval('numbers', 41)`)
  standby = await startStandby(primary)
  await standby.caughtUp()
  workshop = await makeWorkshop({
    sources: { shop: { url: urlOf(database.name, standby.server), jobs: 2 } },
  })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await standby[Symbol.asyncDispose]()
  await primary[Symbol.asyncDispose]()
})

test('a standby is backed up and comes back on a primary; unlogged tables, whose rows it does not have, are named and come back empty', async () => {
  const { warnings } = await workshop.json(['backup'], { status: 3 })
  assert.ok(Array.isArray(warnings) && warnings.length === 1, String(warnings))
  assert.match(String(warnings[0]), /the source is a standby.*: left out are those of public\."Cache"/)
  const to = urlOf(database.restored.name, primary.server)
  await workshop.json(['restore', 'latest', '--to', to, '--identity', workshop.identity()])
  const found = await sql(
    database.restored.name,
    `SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM "Cache"), (SELECT last_value FROM numbers),
       (SELECT relpersistence FROM pg_class WHERE relname = 'Cache'), convert_from(lo_get(4711), 'UTF8')`,
    [],
    primary.server,
  )
  assert.equal(found, '5000|0|41|u|large')
})

test('a backup that the replay throws out fails, says what to set, and leaves no backup', async () => {
  const before = await manifestsIn(join(workshop.folder, 'repository'))
  using paused = pauseDumps()
  const held = startCoffre(['backup'], { cwd: workshop.folder, env: paused.environment })
  await paused.snapshot()
  await database.sql('ALTER TABLE kept ADD more int')
  await standby.caughtUp()
  paused.resume()
  const { status, stderr } = await held.ended
  assert.equal(status, 1, stderr)
  assert.match(stderr, /conflict with recovery/)
  assert.match(stderr, /hot_standby_feedback = on/)
  assert.deepEqual(await manifestsIn(join(workshop.folder, 'repository')), before)
})
