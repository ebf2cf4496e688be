/**
 * A backup that is interrupted, killed, or loses what it reads from: what is committed afterwards is a whole backup or
 * none, nothing is left running, and the next run works.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { makeWorkshop, startCoffre, type Outcome, type Workshop } from '../support/coffre.ts'
import { holdBackup, outOfLine, type HeldBackup } from '../support/held-backup.ts'
import { startOwnServer } from '../support/own-server.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { eventually } from '../support/patience.ts'
import { conninfoOf, makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { descendantsOf, isRunning } from '../support/processes.ts'
import { queueLock } from '../support/queued-lock.ts'
import { holds } from '../support/property.ts'
import { filesBelow, manifestsIn } from '../support/repository-folder.ts'

const rows = `CREATE TABLE a AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 300000) n;
  CREATE TABLE z AS SELECT ${outOfLine} AS wide;`

let database: TestDatabase
let workshop: Workshop
let repository: string

before(async () => {
  database = await makeDatabase('killed')
  await database.sql(rows)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
  repository = join(workshop.folder, 'repository')
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

/** Its pg_dump waits too. */
async function hold(): Promise<HeldBackup> {
  const paused = pauseDumps()
  const options = { cwd: workshop.folder, env: paused.environment }
  const held = await holdBackup(database, 'z', ['backup'], options)
  return {
    ...held,
    release: async () => {
      paused.resume()
      await held.release()
    },
    [Symbol.asyncDispose]: async () => {
      await held[Symbol.asyncDispose]()
      paused[Symbol.dispose]()
    },
  }
}

/** Sessions of clients in the database, but for the one that asks and the gates of these tests. */
async function sessions(): Promise<string> {
  return await database.sql(`SELECT application_name, state, query FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name NOT LIKE 'gate%'`)
}

/** Everything in the repository but the traces of leases. */
const kept = async (): Promise<readonly string[]> =>
  (await filesBelow(repository)).filter((file) => !file.startsWith('leases/'))

/** Runs `fault` on a backup that is held; nothing of it may stay. */
async function assertNothingStays(fault: (held: HeldBackup) => Promise<void>): Promise<void> {
  const before = await kept()
  await using held = await hold()
  await fault(held)
  assert.deepEqual(await kept(), before)
}

/** The whole way round: what the next run makes can be believed to the last byte. */
async function assertNextRunWorks(): Promise<void> {
  const { id } = await workshop.json(['backup'])
  const verified = (await workshop.json(['verify', '--all'])) as { ok: boolean; backups: { id: string }[] }
  assert.equal(verified.ok, true)
  assert.equal(verified.backups.at(-1)?.id, id)
}

function assertFailed({ status, stdout, stderr }: Outcome, expected: number, says: RegExp): void {
  assert.equal(status, expected, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, says)
  assert.match(stderr, /^coffre: error: .+\ncoffre: hint: .+$/m)
  assert.doesNotMatch(stderr, /internal|unhandled|\n {4}at /i)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} in the middle of the rows ends a backup with status 130, and nothing of it stays`, async () => {
    await assertNothingStays(async (held) => {
      const children = descendantsOf(held.child.pid ?? 0)
      assert.ok(
        children.some(({ name }) => name === 'psql') && children.some(({ name }) => name === 'pg_dump'),
      )
      held.child.kill(signal)
      assertFailed(await held.ended, 130, /error: interrupted/)
      assert.deepEqual(children.filter(isRunning), [])
      // The lock they waited for is still held: the server finds out by itself that nobody is there any more.
      await eventually('no session is left', async () => (await sessions()) === '', 8000)
    })
  })
}

test('a second signal ends a backup at once', async () => {
  const manifests = await manifestsIn(repository)
  await using held = await hold()
  held.child.kill('SIGTERM')
  held.child.kill('SIGTERM')
  assert.equal((await held.ended).status, 130)
  assert.deepEqual(await manifestsIn(repository), manifests)
  await held.release()
  await assertNextRunWorks()
})

test('kill -9 at any moment leaves a whole backup or none, and the next run works at once', async (t) => {
  const began = performance.now()
  await workshop.coffre(['backup'])
  const wholeRunMs = performance.now() - began
  const moments: string[] = []
  await holds(
    t,
    fc.asyncProperty(fc.noShrink(fc.noBias(fc.integer({ min: 25, max: 105 }))), async (percent) => {
      const manifests = await manifestsIn(repository)
      const { child, ended } = startCoffre(['backup'], { cwd: workshop.folder })
      await sleep((percent / 100) * wholeRunMs)
      const children = descendantsOf(child.pid ?? 0)
      child.kill('SIGKILL')
      await ended
      await eventually('its children are gone', () => !children.some(isRunning))
      await eventually('no session is left', async () => (await sessions()) === '')
      const more = (await manifestsIn(repository)).length - manifests.length
      assert.ok(more === 0 || more === 1)
      moments.push(`${percent} % ${more === 0 ? 'none' : 'whole'}`)
      await assertNextRunWorks()
    }),
    6,
  )
  t.diagnostic(`killed at ${moments.join(', ')} of ${Math.round(wholeRunMs)} ms`)
})

test('a run that is still alive keeps the next one out: status 6, its name, and when its lease ends at the latest', async () => {
  await using held = await hold()
  const second = await workshop.coffre(['backup'], { status: 6 })
  const [, until = ''] = /until (\S+Z) at the latest/.exec(second.stderr) ?? []
  assert.match(second.stderr, new RegExp(`coffre \\S+ on \\S+, process ${held.child.pid},`))
  const leftMs = Date.parse(until) - Date.now()
  assert.ok(leftMs > 0 && leftMs <= 5 * 60_000, until)
  await held.release()
  assert.equal((await held.ended).status, 0)
})

test('a run that was killed keeps nobody out, and the next one says so', async () => {
  const manifests = await manifestsIn(repository)
  await using held = await hold()
  held.child.kill('SIGKILL')
  await held.ended
  await held.release()
  assert.deepEqual(await manifestsIn(repository), manifests)
  const { stderr } = await workshop.coffre(['backup'])
  assert.match(
    stderr,
    new RegExp(`process ${held.child.pid}, run [0-9a-f]+ was killed: its lease is taken over`),
  )
})

test('without the session that holds the snapshot nothing is committed, though every row came', async () => {
  const before = await kept()
  using paused = pauseDumps({ at: 'end' })
  const options = { cwd: workshop.folder, env: paused.environment }
  await using held = await holdBackup(database, 'z', ['backup'], options)
  await paused.snapshot()
  await database.sql(`SELECT pg_terminate_backend(${held.snapshotBackend}, 5000)`)
  paused.resume()
  await held.release()
  assertFailed(await held.ended, 1, /terminating connection|connection .*(closed|lost)/)
  assert.deepEqual(await kept(), before)
})

test('the loss of the snapshot is noticed while rows are read, not at the end', async () => {
  await assertNothingStays(async (held) => {
    await database.sql(`SELECT pg_terminate_backend(${held.snapshotBackend}, 5000)`)
    // The lane and pg_dump would wait for ever.
    assertFailed(await held.ended, 1, /terminating connection|connection .*(closed|lost)/)
  })
})

test('losing the session of a lane fails the backup', async () => {
  await assertNothingStays(async (held) => {
    await database.sql(`SELECT pg_terminate_backend(${held.laneBackend}, 5000)`)
    assertFailed(await held.ended, 1, /terminating connection due to administrator command/)
  })
})

test('losing the session of pg_dump fails the backup', async () => {
  const before = await kept()
  using paused = pauseDumps()
  const { ended } = startCoffre(['backup'], { cwd: workshop.folder, env: paused.environment })
  await paused.snapshot()
  await using queued = await queueLock(database, 'ALTER TABLE a ADD COLUMN more int')
  paused.resume()
  await eventually('pg_dump waits behind it', async () => {
    const waiting = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE%' AND ${queued.backend} = ANY (pg_blocking_pids(pid))`
    const pid = await database.sql(waiting)
    return pid !== '' && (await database.sql(`SELECT pg_terminate_backend(${pid}, 5000)`)) === 't'
  })
  assertFailed(await ended, 1, /terminating connection due to administrator command/)
  assert.deepEqual(await kept(), before)
})

for (const program of ['psql', 'pg_dump'] as const) {
  test(`kill -9 of ${program} fails the backup, and says of what`, async () => {
    await assertNothingStays(async (held) => {
      const child = descendantsOf(held.child.pid ?? 0).findLast(({ name }) => name === program)
      process.kill(child?.pid ?? assert.fail(`${program} does not run`), 'SIGKILL')
      assertFailed(
        await held.ended,
        1,
        new RegExp(`error: (the table .* could not be read: )?${program} ended with SIGKILL`),
      )
    })
  })
}

test('after all that the next run works', assertNextRunWorks)

test('a table that is dropped while coffre waits for it is no part of the backup', async () => {
  await database.sql('CREATE TABLE b AS SELECT 1 AS n')
  const psql = spawn('psql', ['-X', '-q', '-d', conninfoOf(database.name)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  psql.stdin.write('BEGIN; DROP TABLE b;\n')
  const waits = (who: string): Promise<boolean> =>
    database
      .sql(
        `SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'b'::regclass AND ${who}`,
      )
      .then((count) => count !== '0')
  await eventually('the table is held', () => waits(`mode = 'AccessExclusiveLock'`))
  const backup = startCoffre(['backup', '--json'], { cwd: workshop.folder })
  await eventually('coffre waits', () => waits(`application_name LIKE 'coffre shop %' AND NOT granted`))
  psql.stdin.end('COMMIT;\n')
  const { status, stdout, stderr } = await backup.ended
  assert.equal(status, 0, stderr)
  assert.equal((JSON.parse(stdout) as { tables: number }).tables, 2)
})

test('a server that stops at once in the middle fails the backup; one that is down is told from one that refuses', async () => {
  await using server = await startOwnServer()
  const doomed = await makeDatabase('stopped', server.server)
  await doomed.sql(`CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE z AS SELECT ${outOfLine} AS wide;`)
  await using shop = await makeWorkshop({ sources: { shop: { url: doomed.url, jobs: 2 } } })
  await using held = await holdBackup(doomed, 'z', ['backup'], { cwd: shop.folder })
  const stoppedAt = performance.now()
  await server.stopImmediately()
  assertFailed(await held.ended, 1, /connection|server/)
  assert.ok(performance.now() - stoppedAt < 10_000)
  assert.deepEqual(await manifestsIn(join(shop.folder, 'repository')), [])
  assertFailed(await shop.coffre(['backup'], { status: 1 }), 1, /hint: check that the server is up/)
})
