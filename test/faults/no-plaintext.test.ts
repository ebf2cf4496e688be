/**
 * No plaintext on disk during a backup, on any path: a marker in rows and names is looked for in every byte that coffre
 * and its children write into files, also those without a name, and in the finished repository.
 */
/* oxlint-disable typescript/no-floating-promises -- node:test itself waits for what test() returns */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { home, makeWorkshop, type Workshop } from '../support/coffre.ts'
import { eventually } from '../support/patience.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { descendantsOf } from '../support/processes.ts'
import { filesBelow, manifestsIn, partialFilesIn } from '../support/repository-folder.ts'
import { tracesOf, watchWrites, type Watched, type WatchedRun } from '../support/watched-writes.ts'

const marker = `marker${process.pid}x5b1e77`
const role = `role_${marker}`

let database: TestDatabase
let workshop: Workshop
let repository: string

before(async () => {
  database = await makeDatabase('plaintext')
  await database.sql(`CREATE ROLE "${role}";
    CREATE TABLE "table_${marker}" ("column_${marker}" text, filler text);
    INSERT INTO "table_${marker}" SELECT '${marker}', md5(n::text) || md5(n::text || 'x') FROM generate_series(1, 30000) n;
    GRANT SELECT ON "table_${marker}" TO "${role}";
    SELECT lo_from_bytea(0, '${marker}')`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
  repository = join(workshop.folder, 'repository')
  for (const name of ['tmp', 'home']) await mkdir(join(workshop.folder, name))
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database.sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`)
  await database[Symbol.asyncDispose]()
})

async function watch(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Watched> {
  const own = { TMPDIR: join(workshop.folder, 'tmp'), HOME: join(workshop.folder, 'home') }
  return await watchWrites(command, { cwd: workshop.folder, env: { ...own, ...env } })
}

const backup = [join(home, 'bin/coffre'), 'backup', '--verbose']

/** That the watch saw a backup at all is shown by the objects' bytes. */
async function assertNoTrace(run: WatchedRun): Promise<void> {
  const sealed = [...run.files].filter(([path]) => path.startsWith(repository))
  const sealedBytes = sealed.reduce((sum, [, bytes]) => sum + bytes.length, 0)
  assert.ok(sealedBytes > 100_000, `only ${sealedBytes} bytes were seen in the repository`)
  assert.deepEqual(tracesOf(marker, run), [])
  for (const folder of ['tmp', 'home']) assert.deepEqual(await filesBelow(join(workshop.folder, folder)), [])
  const paths = await filesBelow(repository)
  const left = await Promise.all(
    paths.map(async (path) => [path, await readFile(join(repository, path))] as const),
  )
  assert.deepEqual(tracesOf(marker, { files: new Map(left), names: paths }), [])
}

/** A program that writes the marker, and ends well. */
const leaks = {
  'into TMPDIR, for 100 ms': `echo ${marker} > "$TMPDIR/leak"; sleep 0.1; rm "$TMPDIR/leak"`,
  'into a file without a name in /dev/shm': `exec 4> /dev/shm/coffre-leak-$$; rm /dev/shm/coffre-leak-$$; echo ${marker} >&4`,
  'compressed by zstd': `echo ${marker} ${marker} | zstd -q > "$TMPDIR/leak"; rm "$TMPDIR/leak"`,
  'compressed by gzip, and cut short': `head -c 70000 /dev/urandom | base64 | sed 1i${marker} | gzip | head -c 40000 > "$TMPDIR/leak"; rm "$TMPDIR/leak"`,
  'as the name of a file': `: > "$TMPDIR/${marker}"; rm "$TMPDIR/${marker}"`,
}
for (const [how, script] of Object.entries(leaks)) {
  test(`the watch sees a marker that is written ${how}`, async () => {
    const run = await (await watch(['sh', '-c', script])).ended
    assert.equal(run.status, 0, run.stderr)
    assert.equal(tracesOf(marker, run).length, 1)
  })
}

test('a backup writes no plaintext, and neither does its repository hold any', async () => {
  const run = await (await watch(backup)).ended
  assert.equal(run.status, 0, run.stderr)
  assert.equal((await manifestsIn(repository)).length, 1)
  await assertNoTrace(run)
})

test('a backup that is interrupted has written no plaintext', async () => {
  using pause = pauseDumps()
  const { strace, ended } = await watch(backup, pause.environment)
  await pause.snapshot()
  const sealing = async (): Promise<boolean> => (await partialFilesIn(repository)).length > 0
  await eventually('rows are under way', sealing)
  const [coffre] = descendantsOf(strace.pid ?? 0)
  process.kill(coffre?.pid ?? assert.fail('coffre does not run'), 'SIGTERM')
  const run = await ended
  assert.equal(run.status, 130, run.stderr)
  assert.equal((await manifestsIn(repository)).length, 1)
  await assertNoTrace(run)
})

test('a backup that fails in the middle of a table has written no plaintext', async () => {
  // A value whose label is gone: the server cannot print it.
  await database.sql(`CREATE TYPE label AS ENUM ('kept', 'lost');
    ALTER TABLE "table_${marker}" ADD label label DEFAULT 'kept';
    INSERT INTO "table_${marker}" VALUES ('${marker}', 'last', 'lost');
    DELETE FROM pg_enum WHERE enumlabel = 'lost'`)
  const run = await (await watch(backup)).ended
  assert.equal(run.status, 1, run.stderr)
  assert.match(run.stderr, /invalid internal value for enum/)
  assert.equal((await manifestsIn(repository)).length, 1)
  await assertNoTrace(run)
})
