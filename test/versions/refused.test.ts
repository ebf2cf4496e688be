/**
 * Versions that do not go together: refused before anything is written or made, whatever the programs themselves would do
 * half way. Programs of one version are run from outside, on servers of others.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertSameFacts, databaseFacts } from '../compare/compare-databases.ts'
import type { Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import {
  everyServer,
  insideSource,
  intoInside,
  oldestSupported,
  supported,
  withPrograms,
  workshopFor,
  type VersionedServer,
} from './servers.ts'

const newest = supported.at(-1) ?? assert.fail('there is no server')

async function refusal(
  workshop: Workshop,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: string; message: string; hint: string }> {
  const { stderr } = await workshop.coffre([...words, '--json'], { status: 1, env })
  const line = stderr.split('\n').find((one) => one.startsWith('{"error"')) ?? assert.fail(stderr)
  return (JSON.parse(line) as { error: { code: string; message: string; hint: string } }).error
}

async function makeSmall(at: VersionedServer): Promise<TestDatabase> {
  const database = await makeDatabase('small', at.server)
  await database.sql('CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)')
  return database
}

async function nothingMade(database: TestDatabase): Promise<void> {
  const made = `SELECT count(*) FROM pg_database WHERE datname LIKE '${database.restored.name}%'`
  assert.equal(await sql('postgres', made, [], database.server), '0')
}

for (const old of everyServer.filter(({ major }) => major < oldestSupported)) {
  test(`a server of PostgreSQL ${old.version} is not backed up`, async () => {
    await using database = await makeSmall(old)
    await using workshop = await workshopFor(insideSource(newest, 'postgres'))
    await workshop.configure({ sources: { source: insideSource(old, database.name) } })
    const { code, message } = await refusal(workshop, ['backup', 'source'])
    assert.equal(code, 'ERR_SOURCE')
    assert.match(message, /14 and newer/)
    assert.ok(!existsSync(join(workshop.folder, 'repository/backups')))
  })
}

for (const server of supported) {
  for (const programs of supported.filter(({ major }) => major < server.major)) {
    test(`pg_dump ${programs.version} is refused for PostgreSQL ${server.version} before anything is written`, async () => {
      await using database = await makeSmall(server)
      await using workshop = await workshopFor({ url: database.url }, { env: withPrograms(server) })
      const { code, message, hint } = await refusal(workshop, ['backup', 'source'], withPrograms(programs))
      assert.equal(code, 'ERR_PROGRAM')
      assert.ok(
        message.startsWith(`pg_dump is ${programs.version}, older than the server, ${server.version}`),
      )
      assert.match(hint, new RegExp(`postgresql-client-${server.major} .*run: \\[docker`))
      assert.ok(!existsSync(join(workshop.folder, 'repository/backups')))
    })
  }
}

for (const older of everyServer.filter(({ major }) => major < newest.major)) {
  test(`a backup of PostgreSQL ${newest.version} is refused by a server and by a pg_restore of ${older.version}`, async () => {
    await using database = await makeSmall(newest)
    await using workshop = await workshopFor(insideSource(newest, database.name))
    await workshop.coffre(['backup', 'source'])
    await using elsewhere = await makeDatabase('elsewhere', older.server)
    const byServer = await refusal(workshop, intoInside(workshop, older, elsewhere.restored.name))
    assert.equal(byServer.code, 'ERR_DESTINATION')
    assert.match(byServer.hint, new RegExp(`PostgreSQL ${newest.major} or newer`))
    await nothingMade(elsewhere)
    if (older.major < oldestSupported) return // its psql lacks \restrict: said first
    const words = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
    const byProgram = await refusal(workshop, words, withPrograms(older))
    assert.equal(byProgram.code, 'ERR_PROGRAM')
    assert.match(byProgram.hint, new RegExp(`postgresql-client-${newest.major} `))
    await nothingMade(database)
  })
}

for (const server of supported.filter(({ major }) => major < 17)) {
  for (const programs of supported.filter(({ major }) => major > server.major)) {
    const possible = programs.major < 17
    test(`programs of PostgreSQL ${programs.version} back up ${server.version} ${possible ? 'and restore it there' : 'with a warning, and are refused to restore it there'}`, async () => {
      await using database = await makeSmall(server)
      await using workshop = await workshopFor({ url: database.url }, { env: withPrograms(programs) })
      const { stderr } = await workshop.coffre(['backup', 'source'], { status: possible ? 0 : 3 })
      const back = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
      if (possible) {
        await workshop.coffre(back)
        assertSameFacts(
          await databaseFacts(database.conninfo),
          await databaseFacts(database.restored.conninfo),
        )
        return
      }
      assert.match(stderr, /restores on PostgreSQL 17 and newer only/)
      const { code, hint } = await refusal(workshop, back)
      assert.equal(code, 'ERR_DESTINATION')
      assert.match(hint, /PostgreSQL 17 or newer/)
      await nothingMade(database)
    })
  }
}
