/**
 * A source behind something that spreads connections (hazard 5): a pooler that moves sessions between transactions, hosts
 * that are different servers. Refused before any setting is sent and before anything is written; a pool that leaves
 * sessions alone works.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { reachOneServer } from '../../src/postgres/same-server.ts'
import { beginInSnapshot, SourceSnapshot } from '../../src/postgres/source-snapshot.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { startPooler } from '../support/pooler.ts'
import { makeDatabase, socketFolder, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { filesBelow } from '../support/repository-folder.ts'
import { environment, testAccess, withSession } from '../support/session.ts'

let database: TestDatabase
before(async () => {
  database = await makeDatabase('pooled')
  await database.sql(`CREATE TABLE t AS SELECT n, md5(n::text) AS text FROM generate_series(1, 2000) n`)
})
after(() => database[Symbol.asyncDispose]())

/** Fails the test unless the backup is refused with nothing written. */
async function assertRefused(source: unknown, code: string, message: RegExp, way: RegExp): Promise<void> {
  await using workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  await workshop.configure({ sources: { shop: source } })
  const before = await filesBelow(workshop.folder)
  const error = await workshop.error(['backup'], 1)
  assert.equal(error.code, code, error.message)
  assert.match(error.message, message)
  assert.match(error.hint, way)
  assert.deepEqual(await filesBelow(workshop.folder), before)
}

for (const round of ['0', '1']) {
  test(`a pooler in transaction mode is refused (round robin ${round}), and no setting stays in its connections`, async () => {
    await using pooler = await startPooler('transaction', { server_round_robin: round })
    const url = urlOf(database.name, pooler.server)
    // Connections that others left there.
    await Promise.all([1, 2, 3].map(() => sql(database.name, 'SELECT pg_sleep(0.3)', [], pooler.server)))
    await assertRefused(
      { url, jobs: 2 },
      'ERR_SOURCE',
      /pooler that gives each transaction another session/,
      /port 5432, not 6432/,
    )
    await assert.rejects(
      makeWorkshop({ sources: { shop: { url } } }),
      /coffre: error: the connection goes through a pooler|"the connection goes through a pooler/,
    )
    const changed = `SELECT current_setting('row_security') || current_setting('jit') || current_setting('synchronize_seqscans')`
    for (let i = 0; i < 4; i += 1)
      assert.equal(await sql(database.name, changed, [], pooler.server), await database.sql(changed))
  })
}

test('a pooler in statement mode is refused', async () => {
  await using pooler = await startPooler('statement')
  const url = urlOf(database.name, pooler.server)
  await assertRefused({ url, jobs: 2 }, 'ERR_CONNECT', /pooling/, /port 5432, not 6432/)
})

test('a pooler in session mode works', async () => {
  await using pooler = await startPooler('session')
  await using workshop = await makeWorkshop({
    sources: { shop: { url: urlOf(database.name, pooler.server), jobs: 2 } },
  })
  assert.equal((await workshop.json(['backup']))['rows'], 2000)
})

test('a session that would read the snapshot on another server is refused, whatever snapshots that one has', async () => {
  const access = testAccess(database.name)
  const options = { environment, applicationName: 'coffre shop', lockTimeoutMs: 10_000 }
  await using snapshot = await SourceSnapshot.take(access, options)
  await withSession(access, async (session) => {
    const elsewhere = { ...snapshot.handle, serverStartedAt: '2020-02-29 00:00:00+00' }
    await assert.rejects(beginInSnapshot(session, elsewhere, 10_000), {
      code: 'ERR_SOURCE',
      message: 'connections to the source reach different servers',
    })
  })
  await withSession(access, (session) => beginInSnapshot(session, snapshot.handle, 10_000))
})

test('connections that reach different servers are refused; a list of hosts is tried once, and the server that answered is kept', async () => {
  await using other = await startOwnServer()
  await sql('postgres', `CREATE DATABASE "${database.name}"`, [], other.server)
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-balanced-'))
  const turn = join(folder, 'turn')
  const balanced = join(folder, 'balanced')
  // Every second psql comes to the other server.
  await writeFile(
    balanced,
    `#!/bin/sh
export PGHOST='${socketFolder()}'
case $1 in psql) if [ -e '${turn}' ]; then rm '${turn}'; PGHOST='${other.socketFolder}'; else touch '${turn}'; fi ;; esac
exec "$@"
`,
    { mode: 0o755 },
  )
  const run = { database: database.name, user: 'postgres', run: [balanced], jobs: 2 }
  await assertRefused(run, 'ERR_SOURCE', /reach different servers/, /give one host/)
  await rm(folder, { recursive: true })

  const listed = [folder, socketFolder(), other.socketFolder]
  const access = testAccess(database.name)
  const several = { ...access, parameters: { ...access.parameters, host: listed.join(',') } }
  const chosen = await reachOneServer(several, { environment, applicationName: 'coffre shop' })
  assert.equal(chosen.parameters['host'], socketFolder())
  const hosts = listed.map(encodeURIComponent).join(',')
  const url = `postgres://postgres@/${database.name}?host=${hosts}`
  await using workshop = await makeWorkshop({ sources: { shop: { url, jobs: 2 } } })
  assert.equal((await workshop.json(['backup']))['rows'], 2000)
})
