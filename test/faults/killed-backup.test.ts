/**
 * A backup that is interrupted, killed, or loses what it reads from: what is committed afterwards is a whole backup or
 * none, nothing is left running, and the next run works.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { makeWorkshop, startCoffre, type Outcome, type Workshop } from '../support/coffre.ts'
import { holdBackup } from '../support/held-backup.ts'
import { startOwnServer } from '../support/own-server.ts'
import { eventually } from '../support/patience.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { holds } from '../support/property.ts'
import { descendantsOf, isRunning } from '../support/processes.ts'
import { manifestsIn, partialFilesIn } from '../support/repository-folder.ts'

const rows = `CREATE TABLE a AS SELECT n, md5(n::text) AS text FROM generate_series(1, 50000) n;
  CREATE TABLE z AS SELECT n FROM generate_series(1, 1000) n;`

async function makeShop(database: TestDatabase, jobs = 2): Promise<Workshop> {
  return await makeWorkshop({ sources: { shop: { url: database.url, jobs } } })
}

const repositoryOf = (workshop: Workshop): string => join(workshop.folder, 'repository')

/** Sessions of clients in the database, but for the one that asks. */
async function backendsOf(database: TestDatabase): Promise<string> {
  return await database.sql(`SELECT application_name, state, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
}

async function assertNothingCommitted(workshop: Workshop): Promise<void> {
  assert.deepEqual(await manifestsIn(repositoryOf(workshop)), [])
  assert.deepEqual(await partialFilesIn(repositoryOf(workshop)), [])
}

/** The whole way round: what the next run makes can be believed to the last byte. */
async function assertNextRunWorks(workshop: Workshop): Promise<void> {
  const { id } = await workshop.json(['backup'])
  const verified = (await workshop.json(['verify', '--all'])) as { ok: boolean; backups: { id: string }[] }
  assert.equal(verified.ok, true)
  assert.equal(verified.backups.at(-1)?.id, id)
}

function assertFailed({ status, stdout, stderr }: Outcome, expected: { status: number; says: RegExp }): void {
  assert.equal(status, expected.status, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, expected.says)
  assert.match(stderr, /^coffre: error: .+\ncoffre: hint: .+$/m)
  assert.doesNotMatch(stderr, /internal|unhandled|\n {4}at /i)
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`${signal} in the middle of the rows ends a backup with status 130, and nothing of it stays`, async () => {
    await using database = await makeDatabase('interrupted')
    await database.sql(rows)
    await using workshop = await makeShop(database)
    await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
    const children = descendantsOf(held.child.pid ?? 0)
    assert.ok(children.some(({ name }) => name === 'psql') && children.some(({ name }) => name === 'pg_dump'))

    held.child.kill(signal)

    assertFailed(await held.ended, { status: 130, says: /error: interrupted/ })
    assert.deepEqual(children.filter(isRunning), [])
    await assertNothingCommitted(workshop)
    // The lock that they waited for is still held: the server must find out by itself that nobody is there any more.
    await eventually(
      'no session is left',
      async () => !/coffre|pg_dump/.test(await backendsOf(database)),
      8000,
    )
    await held.release()
    await assertNextRunWorks(workshop)
  })
}

test('a second signal ends a backup at once', async () => {
  await using database = await makeDatabase('twice')
  await database.sql(rows)
  await using workshop = await makeShop(database)
  await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
  held.child.kill('SIGTERM')
  held.child.kill('SIGTERM')
  assert.equal((await held.ended).status, 130)
  assert.deepEqual(await manifestsIn(repositoryOf(workshop)), [])
})

test('kill -9 at any moment leaves a whole backup or none, and the next run works at once', async (t) => {
  await using database = await makeDatabase('killed')
  await database.sql(
    `CREATE TABLE a AS SELECT n, md5(n::text) || md5((n + 1)::text) AS text FROM generate_series(1, 400000) n`,
  )
  await using workshop = await makeShop(database)
  const began = performance.now()
  await workshop.coffre(['backup'])
  const wholeRunMs = performance.now() - began
  const moments: string[] = []
  await holds(
    t,
    fc.asyncProperty(fc.double({ min: 0.2, max: 1.05, noNaN: true }), async (moment) => {
      const before = await manifestsIn(repositoryOf(workshop))
      const { child, ended } = startCoffre(['backup'], { cwd: workshop.folder })
      await sleep(moment * wholeRunMs)
      const children = descendantsOf(child.pid ?? 0)
      child.kill('SIGKILL')
      await ended
      await eventually('its children are gone', () => !children.some(isRunning))
      await eventually('no session is left', async () => (await backendsOf(database)) === '')
      const after = await manifestsIn(repositoryOf(workshop))
      moments.push(`${Math.round(moment * 100)} % ${after.length > before.length ? 'whole' : 'none'}`)
      assert.ok(after.length - before.length <= 1)
      assert.equal((await workshop.json(['verify', '--all']))['ok'], true)
      await assertNextRunWorks(workshop)
    }),
    6,
  )
  t.diagnostic(`killed at ${moments.join(', ')}`)
})

test('the run after a killed one says whose lease it took over', async () => {
  await using database = await makeDatabase('takeover')
  await database.sql(rows)
  await using workshop = await makeShop(database)
  await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
  held.child.kill('SIGKILL')
  await held.ended
  await held.release()
  const { stderr } = await workshop.coffre(['backup'])
  assert.match(
    stderr,
    new RegExp(`process ${held.child.pid}, run [0-9a-f]+ was killed: its lease is taken over`),
  )
})

test('a table that is dropped while coffre waits for it is no part of the backup', async () => {
  await using database = await makeDatabase('dropped')
  await database.sql(`${rows} CREATE TABLE gone AS SELECT 1 AS n;`)
  await using workshop = await makeShop(database)
  await using held = await holdBackup(database, 'z', ['backup', '--json'], {
    cwd: workshop.folder,
    whileLocked: 'DROP TABLE gone;',
  })
  await held.release()
  const { status, stdout, stderr } = await held.ended
  assert.equal(status, 0, stderr)
  assert.equal((JSON.parse(stdout) as { tables: number }).tables, 2)
})

test('a run that is still alive keeps the next one out: status 6, with its name and when its lease ends', async () => {
  await using database = await makeDatabase('leased')
  await database.sql(rows)
  await using workshop = await makeShop(database)
  await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
  const second = await workshop.coffre(['backup'], { status: 6 })
  const [, until = ''] = /until (\S+Z) at the latest/.exec(second.stderr) ?? []
  assert.match(second.stderr, new RegExp(`coffre \\S+ on \\S+, process ${held.child.pid},`))
  const leftMs = Date.parse(until) - Date.now()
  assert.ok(leftMs > 0 && leftMs <= 5 * 60_000, until)
  await held.release()
  assert.equal((await held.ended).status, 0)
  await assertNextRunWorks(workshop)
})

test('without the session that holds the snapshot nothing is committed, though every row came', async () => {
  await using database = await makeDatabase('snapshotless')
  await database.sql(rows)
  await using workshop = await makeShop(database)
  await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
  await database.sql(`SELECT pg_terminate_backend(${held.snapshotBackend}, 5000)`)
  // With the snapshot's locks gone, a table can be emptied under the lanes: they would read nothing, and no error.
  await held.release('TRUNCATE z; COMMIT;')
  assertFailed(await held.ended, { status: 1, says: /terminating connection|connection .*(closed|lost)/ })
  await assertNothingCommitted(workshop)
  await assertNextRunWorks(workshop)
})

for (const victim of ['COPY', 'LOCK TABLE'] as const) {
  const whose = victim === 'COPY' ? "a lane's" : "pg_dump's"
  test(`losing ${whose} session fails the backup, and nothing is committed`, async () => {
    await using database = await makeDatabase('cut')
    await database.sql(rows)
    await using workshop = await makeShop(database)
    await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
    const waiting = await eventually('both wait', async () =>
      (await held.waiting()).find(({ query }) => query.startsWith(victim)),
    )
    await database.sql(`SELECT pg_terminate_backend(${waiting.pid}, 5000)`)
    assertFailed(await held.ended, { status: 1, says: /terminating connection due to administrator command/ })
    await assertNothingCommitted(workshop)
    await held.release()
    await assertNextRunWorks(workshop)
  })
}

for (const program of ['psql', 'pg_dump'] as const) {
  test(`kill -9 of ${program} fails the backup by name, and nothing is committed`, async () => {
    await using database = await makeDatabase('orphaned')
    await database.sql(rows)
    await using workshop = await makeShop(database)
    await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
    const child = await eventually(`${program} runs`, () =>
      descendantsOf(held.child.pid ?? 0).findLast(({ name }) => name === program),
    )
    process.kill(child.pid, 'SIGKILL')
    assertFailed(await held.ended, { status: 1, says: new RegExp(`error: ${program} ended with SIGKILL`) })
    await assertNothingCommitted(workshop)
    await held.release()
    await assertNextRunWorks(workshop)
  })
}

test('a server that stops at once in the middle fails the backup, and nothing is committed', async () => {
  await using server = await startOwnServer()
  const database = await makeDatabase('stopped', server.server)
  await database.sql(rows)
  await using workshop = await makeShop(database)
  await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
  const stoppedAt = performance.now()
  await server.stopImmediately()
  assertFailed(await held.ended, { status: 1, says: /connection|server/ })
  assert.ok(performance.now() - stoppedAt < 10_000)
  await assertNothingCommitted(workshop)
  const down = await workshop.coffre(['backup'], { status: 1 })
  assert.match(down.stderr, /hint: check that the server is up/)
})
