/**
 * A command prefix that does not tell the truth, as `docker exec` and `kubectl exec` do when they lose the end of an output
 * and still end with status 0 (hazard 12): every cut is found, whatever program's output it is.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, socketFolder, sql, type TestDatabase } from '../support/postgres.ts'
import { manifestsIn } from '../support/repository-folder.ts'

let database: TestDatabase
let workshop: Workshop
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffre-test-prefix-'))
  await writePrefix('psql', 'cat')
  database = await makeDatabase('behind')
  await database.sql(`CREATE TABLE a AS SELECT n, md5(n::text) AS text FROM generate_series(1, 5000) n;
    SELECT lo_from_bytea(0, convert_to(repeat('large object ', 10000), 'UTF8'))`)
  workshop = await makeWorkshop({
    sources: {
      shop: {
        database: database.name,
        user: 'postgres',
        run: [join(folder, 'behind')],
        jobs: 2,
        globals: 'all',
      },
    },
  })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** What `program` prints goes through `filter`, what it reads through `before`; the status is 0 whatever happened. */
async function writePrefix(program: string, filter: string, when = '*', before = 'cat'): Promise<void> {
  const script = `#!/bin/sh
export PGHOST='${socketFolder()}' LC_ALL=C
case "$*" in
  ${program}*--version) exec "$@" ;;
  ${program}\\ ${when}) ${before === 'cat' ? '' : `${before} | `}{ "$@" || true; } | ${filter}; exit 0 ;;
esac
exec "$@"
`
  await writeFile(join(folder, 'behind'), script, { mode: 0o755 })
}

async function assertRefused(says: RegExp): Promise<void> {
  const { code, message } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_PROGRAM', message)
  assert.match(message, says)
  assert.deepEqual(await manifestsIn(join(workshop.folder, 'repository')), [])
}

const cuts = {
  'definitions, cut in the middle': ['pg_dump', 'head -c 700', '*--section=pre-data*'],
  'definitions without their last byte': ['pg_dump', 'head -c -1', '*--section=pre-data*'],
  'large objects without their last bytes': ['pg_dump', 'head -c -40', '*--section=data*'],
  'definitions, lost altogether': ['pg_dump', 'head -c 0', '*--section=pre-data*'],
  'globals, cut in the middle': ['pg_dumpall', 'head -c 200', '*'],
  // What is asked before comes to less.
  'rows, cut in the middle': ['psql', 'stdbuf -o0 head -c 100000', '*'],
} as const

for (const [what, [program, filter, when]] of Object.entries(cuts)) {
  test(`${what}: the backup fails and names ${program}, although its status is 0`, async () => {
    await writePrefix(program, filter, when)
    await assertRefused(/cut short|is not whole|pg_restore|psql ended before/)
  })
}

test('rows that are lost on their way into psql, which takes the end of its input for theirs: the restore fails, and leaves nothing', async () => {
  await writePrefix('psql', 'cat')
  await workshop.json(['backup'])
  await writePrefix('psql', 'cat', '*', 'stdbuf -o0 head -c 100000')
  const named = ['--to-source', 'shop', '--database', database.restored.name]
  const restore = ['restore', 'latest', ...named, '--identity', workshop.identity()]
  const { code, message } = await workshop.error(restore, 1)
  assert.equal(code, 'ERR_PROGRAM', message)
  assert.match(message, /psql ended before/)
  const left = `SELECT count(*) FROM pg_database WHERE datname LIKE '${database.name}\\_%'`
  assert.equal(await sql('postgres', left), '0')
})

test('a server whose clock is years ahead: the backup is dated by this host, and says so', async () => {
  const year = new Date().getUTCFullYear()
  await writePrefix('psql', `sed -u 's/"takenAt":"${year}/"takenAt":"${year + 10}/'`)
  const { snapshotTime, warnings } = (await workshop.json(['backup'], { status: 3 })) as {
    snapshotTime: string
    warnings: string[]
  }
  assert.ok(Math.abs(Date.parse(snapshotTime) - Date.now()) < 60_000, snapshotTime)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', new RegExp(`the source's clock says ${year + 10}`))
})
