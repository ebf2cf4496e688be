/**
 * A restore that is interrupted or killed: nothing stands under the wanted name unless it is whole, nothing else is left
 * where coffre could still tidy up, and where it could not it is said what is there.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { makeWorkshop, startCoffre, type Outcome, type Workshop } from '../support/coffre.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { eventually } from '../support/patience.ts'
import { conninfoOf, makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { descendantsOf, isRunning } from '../support/processes.ts'
import { holds } from '../support/property.ts'

let server: OwnServer
let database: TestDatabase
let workshop: Workshop
let databasesBefore: readonly string[]
const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '')
const onServer = (text: string): Promise<string> => sql('postgres', text, [], server.server)

before(async () => {
  server = await startOwnServer()
  database = await makeDatabase('origin', server.server)
  await database.sql(`CREATE TABLE a AS SELECT n, md5(n::text) AS text FROM generate_series(1, 100000) n; CREATE INDEX ON a (text);
    CREATE TABLE z (n serial PRIMARY KEY); INSERT INTO z SELECT FROM generate_series(1, 1000);`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  await workshop.coffre(['backup'])
  databasesBefore = await databases()
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
afterEach(async () => {
  for (const name of await databases()) {
    if (!databasesBefore.includes(name)) await onServer(`DROP DATABASE "${name}" WITH (FORCE)`)
  }
})

async function databases(): Promise<readonly string[]> {
  return lines(await onServer('SELECT datname FROM pg_database ORDER BY 1'))
}

const restoreWords = (): readonly string[] => [
  'restore',
  'latest',
  '--to',
  urlOf('wanted', server.server),
  '--identity',
  workshop.identity(),
]
const startRestore = (): { child: ChildProcess; ended: Promise<Outcome> } =>
  startCoffre(restoreWords(), { cwd: workshop.folder })

/** What pg_stat_activity shows of coffre's sessions. */
async function statements(): Promise<readonly string[]> {
  return lines(
    await onServer(
      `SELECT replace(query, E'\\n', ' ') FROM pg_stat_activity WHERE application_name LIKE 'coffre restore%'`,
    ),
  )
}

/** Over a session of another name, whatever it is doing at the moment. */
async function tidiesUp(): Promise<boolean> {
  const named = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coffre restore, tidying up'`
  return (await onServer(named)) !== '0'
}

async function assertWhole(): Promise<void> {
  assert.equal(
    await sql('wanted', 'SELECT count(*), sum(n), max(text) FROM a', [], server.server),
    await database.sql('SELECT count(*), sum(n), max(text) FROM a'),
  )
}

function assertFailed({ status, stdout, stderr }: Outcome, expected: number, says: RegExp): void {
  assert.equal(status, expected, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, says)
  assert.match(stderr, /^coffre: error: .+\ncoffre: hint: .+$/m)
  assert.doesNotMatch(stderr, /internal|unhandled|\n {4}at /i)
}

/** Keeps a statement on the server waiting, from `begin` until it is let go. */
class Obstacle implements AsyncDisposable {
  readonly #psql = spawn('psql', ['-X', '-q', '-A', '-t', '-d', conninfoOf('postgres', server.server)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })

  /** `lock`: a statement that returns once it holds what others will wait for. */
  static async begin(lock: string): Promise<Obstacle> {
    const obstacle = new Obstacle()
    obstacle.#psql.stdin.write(`BEGIN; ${lock}; SELECT 'held';\n`)
    await once(obstacle.#psql.stdout, 'data')
    return obstacle
  }

  async end(): Promise<void> {
    if (this.#psql.stdin.writableEnded) return
    this.#psql.stdin.end()
    await once(this.#psql, 'close')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }
}

/** No database can be made or dropped. */
const noNewDatabases = 'LOCK TABLE pg_catalog.pg_database IN SHARE MODE'
/** The staging database cannot be altered or renamed. */
const keepStaging = `DO $$BEGIN PERFORM FROM pg_catalog.pg_database WHERE datname LIKE 'wanted_coffre_%' FOR UPDATE; END$$`

const keepWanted = `DO $$BEGIN PERFORM FROM pg_catalog.pg_database WHERE datname = 'wanted' FOR UPDATE; END$$`

async function untilItWaitsFor(statement: string): Promise<void> {
  await eventually(`it waits for ${statement}`, async () =>
    (await statements()).some((one) => one.startsWith(statement)),
  )
}

test('SIGTERM at any moment: the wanted database is whole or not there, and nothing else is left', async (t) => {
  const began = performance.now()
  await workshop.coffre(restoreWords())
  const wholeRunMs = performance.now() - began
  await onServer('DROP DATABASE wanted')
  const moments: string[] = []
  await holds(
    t,
    fc.asyncProperty(fc.noShrink(fc.noBias(fc.integer({ min: 25, max: 100 }))), async (percent) => {
      const { child, ended } = startRestore()
      await sleep((percent / 100) * wholeRunMs)
      const children = descendantsOf(child.pid ?? 0)
      child.kill('SIGTERM')
      const outcome = await ended
      moments.push(`${percent} % status ${outcome.status}`)
      assert.deepEqual(children.filter(isRunning), [])
      // Without a status it had nothing left to do than to end, or had not begun.
      if (outcome.status === 0 || (outcome.status === null && (await databases()).includes('wanted'))) {
        await assertWhole()
        await onServer('DROP DATABASE wanted')
      } else if (outcome.status !== null) assertFailed(outcome, 130, /error: interrupted|was interrupted/)
      assert.deepEqual(await databases(), databasesBefore)
    }),
    5,
  )
  t.diagnostic(`interrupted at ${moments.join(', ')} of ${Math.round(wholeRunMs)} ms`)
})

test('SIGTERM while the staging database is being created leaves none behind', async () => {
  await using obstacle = await Obstacle.begin(noNewDatabases)
  const { child, ended } = startRestore()
  await untilItWaitsFor('CREATE DATABASE')
  child.kill('SIGTERM')
  await eventually('it tidies up', tidiesUp)
  await obstacle.end()
  assertFailed(await ended, 130, /interrupted/)
  await eventually('no session is left', async () => (await statements()).length === 0)
  assert.deepEqual(await databases(), databasesBefore)
})

for (const empty of [false, true]) {
  test(`SIGTERM at the very end, when only names are left to change${empty ? ', beside an empty database of that name' : ''}`, async () => {
    if (empty) await onServer('CREATE DATABASE wanted TEMPLATE template0')
    const { child, ended } = startRestore()
    await eventually('it is filled', async () =>
      (await databases()).some((name) => name.startsWith('wanted_coffre_')),
    )
    await using obstacle = await Obstacle.begin(empty ? keepWanted : keepStaging)
    await untilItWaitsFor('ALTER DATABASE')
    child.kill('SIGTERM')
    await eventually('it tidies up', tidiesUp)
    await obstacle.end()
    assertFailed(await ended, 130, /interrupted/)
    const left = (await databases()).filter((name) => !databasesBefore.includes(name))
    assert.deepEqual(left, empty ? ['wanted'] : [])
    // The empty one lets people in again, now and after whatever may still have been under way.
    await eventually('no session is left', async () => (await statements()).length === 0)
    if (empty)
      assert.equal(
        await sql('wanted', `SELECT count(*) FROM pg_class WHERE oid >= 16384`, [], server.server),
        '0',
      )
  })
}

test('an empty database of that name that somebody fills meanwhile is kept, under another name', async () => {
  await onServer('CREATE DATABASE wanted TEMPLATE template0')
  const { ended } = startRestore()
  await eventually('it is being filled', async () =>
    (await databases()).some((name) => name.startsWith('wanted_coffre_')),
  )
  // Made before the restore looks again, which it does after the names have changed.
  await sql('wanted', 'CREATE TABLE precious AS SELECT 42 AS n', [], server.server)
  const { status, stderr } = await ended
  assert.equal(status, 3, stderr)
  assert.match(
    stderr,
    /warning: somebody wrote to the empty database meanwhile: it is kept as "(wanted_\w+)"/,
  )
  const kept = /it is kept as "(\w+)"/.exec(stderr)?.[1] ?? ''
  assert.equal(await sql(kept, 'SELECT n FROM precious', [], server.server), '42')
  await assertWhole()
})

test('losing its session at the very end: not renamed, nothing left', async () => {
  const { ended } = startRestore()
  await eventually('it is filled', async () =>
    (await databases()).some((name) => name.startsWith('wanted_coffre_')),
  )
  await using obstacle = await Obstacle.begin(keepStaging)
  await untilItWaitsFor('ALTER DATABASE')
  await onServer(
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'coffre restore%' AND query LIKE 'ALTER DATABASE%'`,
  )
  await obstacle.end()
  assertFailed(await ended, 1, /terminating connection due to administrator command/)
  assert.deepEqual(await databases(), databasesBefore)
})

test('losing a lane fails the restore, and nothing is left', async () => {
  const { ended } = startRestore()
  await eventually('a lane loads', async () => {
    const loading = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'coffre restore%' AND query LIKE 'COPY%FROM STDIN%'`
    return (await onServer(loading)) !== '0'
  })
  // What the server said last is lost where the lane was just about to send more.
  assertFailed(
    await ended,
    1,
    /terminating connection due to administrator command|connection to server was lost/,
  )
  assert.deepEqual(await databases(), databasesBefore)
})

test('after kill -9 the wanted database is whole or not there; the next restore works, and names what was left', async (t) => {
  await holds(
    t,
    fc.asyncProperty(fc.noShrink(fc.noBias(fc.integer({ min: 0, max: 600 }))), async (delayMs) => {
      const { child, ended } = startRestore()
      const staging = await eventually('the staging database is there', async () =>
        (await databases()).find((name) => /^wanted_coffre_[0-9a-f]{12}$/.test(name)),
      )
      await sleep(delayMs)
      const children = descendantsOf(child.pid ?? 0)
      child.kill('SIGKILL')
      await ended
      await eventually('its children are gone', () => !children.some(isRunning))
      await eventually('no session is left', async () => (await statements()).length === 0)
      const left = (await databases()).filter((name) => !databasesBefore.includes(name))
      assert.ok(left.join() === staging || left.join() === 'wanted', left.join())
      if (left.join() === 'wanted') await assertWhole()
      else {
        const { stderr } = await workshop.coffre(restoreWords())
        assert.match(
          stderr,
          new RegExp(
            `"${staging}" was left by a restore that was killed; .*DROP DATABASE IF EXISTS "${staging}"`,
          ),
        )
        await assertWhole()
        await onServer(`DROP DATABASE ${staging}`)
      }
      await onServer('DROP DATABASE wanted')
    }),
    3,
  )
})

test('a server that stops in the middle: the restore fails, and says what it could not tidy up', async () => {
  const { ended } = startRestore()
  const staging = await eventually('the staging database is there', async () =>
    (await databases()).find((name) => name.startsWith('wanted_coffre_')),
  )
  await server.stopImmediately()
  const outcome = await ended
  assertFailed(outcome, 1, /connection|server/)
  assert.match(
    outcome.stderr,
    new RegExp(
      `warning: the staging database "${staging}" could not be dropped\ncoffre: hint: DROP DATABASE IF EXISTS "${staging}"`,
    ),
  )
  server = await startOwnServer()
  databasesBefore = await databases()
})
