/**
 * A command prefix whose end is not the end of the program behind it, as with `docker exec` and `kubectl exec` (hazard 13):
 * an interrupted backup leaves no session of its own in the server, and does not wait for what it cannot reach.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { holdBackup, outOfLine } from '../support/held-backup.ts'
import { makeDatabase, socketFolder, type TestDatabase } from '../support/postgres.ts'
import { manifestsIn } from '../support/repository-folder.ts'

let database: TestDatabase
let workshop: Workshop
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffre-test-prefix-'))
  await writePrefix('')
  database = await makeDatabase('contained')
  await database.sql(
    `CREATE TABLE a AS SELECT n FROM generate_series(1, 5000) n; CREATE TABLE z AS SELECT ${outOfLine} AS wide`,
  )
  workshop = await makeWorkshop({
    sources: { shop: { database: database.name, user: 'postgres', run: [join(folder, 'behind')], jobs: 2 } },
  })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** What is started in a session of its own is not reached by what ends the prefix; `stays`: nor does the prefix itself end. */
async function writePrefix(stays: string): Promise<void> {
  const script = `#!/bin/sh
export PGHOST='${socketFolder()}' LC_ALL=C
${stays}
setsid --wait "$@"
exit $?
`
  await writeFile(join(folder, 'behind'), script, { mode: 0o755 })
}

const sessions = (): Promise<string> =>
  database.sql(`SELECT coalesce(string_agg(application_name || ': ' || query, ', '), '') FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'gate%'`)

for (const [prefix, stays] of [
  ['a prefix that ends alone', ''],
  ['a prefix that does not let itself be ended', `trap '' TERM`],
] as const) {
  test(`behind ${prefix}, an interrupted backup ends its sessions in the server, also those that wait for a lock`, async () => {
    await writePrefix(stays)
    await using held = await holdBackup(database, 'z', ['backup'], { cwd: workshop.folder })
    assert.match(await sessions(), /COPY/)
    held.child.kill('SIGINT')
    const { status, stderr } = await held.ended
    assert.equal(status, 130, stderr)
    assert.equal(await sessions(), '')
    assert.deepEqual(await manifestsIn(join(workshop.folder, 'repository')), [])
  })
}
