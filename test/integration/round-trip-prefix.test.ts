/**
 * Everything behind a command prefix: the server has no TCP port, only the prefix knows where its socket is, and coffre's
 * own PATH has no client program at all. So whatever reached the server went through the prefix.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { loadDemo } from '../support/demo-database.ts'
import { startOwnServer } from '../support/own-server.ts'
import { makeDatabase, sql } from '../support/postgres.ts'

/** What bin/coffre itself needs on a bare machine. */
const ownPrograms = ['sh', 'dirname', 'readlink', 'uname']

interface Prefix extends AsyncDisposable {
  /** The command before every client program. */
  readonly command: string
  /** For coffre: without client programs. */
  readonly environment: Readonly<Record<string, string>>
  /** The words of every call so far, one call a line. */
  calls(): Promise<readonly string[]>
}

async function makePrefix(socketFolder: string): Promise<Prefix> {
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-prefix-'))
  const command = join(folder, 'behind')
  const [bin, log] = [join(folder, 'bin'), join(folder, 'calls')]
  await writeFile(
    command,
    `#!/bin/sh
printf '%s\\n' "$(printf %s "$*" | tr '\\n' ' ')" >> '${log}'
PGHOST='${socketFolder}' PATH='${process.env['PATH']}' exec "$@"
`,
    { mode: 0o755 },
  )
  await mkdir(bin)
  for (const name of ['tr', ...ownPrograms]) {
    const path = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    await symlink(path, join(bin, name))
  }
  await writeFile(log, '')
  return {
    command,
    environment: { PATH: bin },
    calls: async () => (await readFile(log, 'utf8')).trimEnd().split('\n'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

test('a database without a TCP port goes round through its command prefix, and through nothing else', async () => {
  assert.equal(process.env['PGHOST'], undefined, 'PGHOST would lead to a server past the prefix')
  await using cluster = await startOwnServer()
  assert.equal(await sql('postgres', 'SHOW listen_addresses', [], cluster.server), '')
  await using database = await makeDatabase('hidden', cluster.server)
  await loadDemo(database, { scale: 0.02, roles: true })
  await using prefix = await makePrefix(cluster.socketFolder)
  const source = { database: database.name, user: 'postgres', run: [prefix.command], jobs: 2, globals: 'all' }
  await using workshop = await makeWorkshop({ sources: { hidden: source }, env: prefix.environment })

  await workshop.json(['backup'])
  const named = ['--to-source', 'hidden', '--database', database.restored.name, '--jobs', '2']
  const restored = await workshop.json(['restore', 'latest', ...named, '--identity', workshop.identity()])
  assert.equal(restored['ok'], true)
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  const programs = new Set((await prefix.calls()).map((words) => words.split(' ')[0] ?? ''))
  // The shell becomes pg_restore, once it has put the definitions where several can read them at once.
  assert.deepEqual(programs, new Set(['psql', 'pg_dump', 'pg_dumpall', 'pg_restore', 'sh']))
  const words = (await prefix.calls()).join('\n')
  assert.match(words, /^sh -c .*pg_restore .*--section=post-data .*--jobs=2 .*\/dev\/fd\/4$/m)
  assert.doesNotMatch(words, /host=/, 'where the server is, only the prefix knows')

  await workshop.configure({ sources: { hidden: { ...source, run: undefined } } })
  const { code, message } = await workshop.error(['backup'], 1)
  assert.deepEqual([code, message], ['ERR_PROGRAM', 'cannot start psql: there is no such program'])
})

test('a part of a backup comes through a prefix; without a shell behind it only the whole does, and more slowly', async () => {
  await using cluster = await startOwnServer()
  await using database = await makeDatabase('hidden', cluster.server)
  await database.sql(`CREATE TABLE a (id serial PRIMARY KEY, v text); INSERT INTO a (v) SELECT md5(n::text) FROM generate_series(1, 500) n;
    CREATE INDEX ON a (v); CREATE TABLE "it's b" (a int REFERENCES a); INSERT INTO "it's b" VALUES (1)`)
  await using prefix = await makePrefix(cluster.socketFolder)
  const source = { database: database.name, user: 'postgres', run: [prefix.command] }
  await using workshop = await makeWorkshop({ sources: { hidden: source }, env: prefix.environment })
  await workshop.json(['backup'])
  const words = (name: string): readonly string[] => {
    const to = ['--to-source', 'hidden', '--database', name, '--jobs', '2']
    return ['restore', 'latest', ...to, '--identity', workshop.identity()]
  }
  const before = memoryFiles()
  const part = await workshop.json([...words('part'), '--table', "it's b"])
  assert.deepEqual([part['rows'], part['leftOut']], [1, [`FK CONSTRAINT public it's b it's b_a_fkey`]])
  assert.equal(await sql('part', `SELECT a FROM "it's b"`, [], cluster.server), '1')
  assert.equal(await sql('part', `SELECT to_regclass('a') IS NULL`, [], cluster.server), 't')
  assert.deepEqual(memoryFiles(), before)

  const script = await readFile(prefix.command, 'utf8')
  const noShell = script.replace('#!/bin/sh\n', '#!/bin/sh\n[ "$1" != sh ] || exit 127\n')
  await writeFile(prefix.command, noShell)
  const { stderr } = await workshop.coffre(words(database.restored.name))
  assert.match(stderr, /indexes are built one after the other through this command prefix: there is no shell/)
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  const { code, message } = await workshop.error([...words('other'), '--table', 'a'], 1)
  assert.equal(code, 'ERR_DESTINATION')
  assert.match(message, /a part cannot be restored through this command prefix: there is no shell/)
  const left = await sql(
    'postgres',
    `SELECT datname FROM pg_database WHERE datname LIKE 'other%'`,
    [],
    cluster.server,
  )
  assert.equal(left, '')
})

/** With a name: what is nameless is gone with whoever has it open. */
function memoryFiles(): readonly string[] {
  return readdirSync('/dev/shm').filter((name) => name.startsWith('coffre-'))
}

test('a prefix that does not lead anywhere is an error that names it', async () => {
  await using database = await makeDatabase('unreached')
  await using workshop = await makeWorkshop({ sources: { plain: { url: database.url } } })
  await workshop.configure({ sources: { plain: { database: database.name, run: ['/nonexistent/prefix'] } } })
  const { code, message } = await workshop.error(['backup'], 1)
  assert.deepEqual(
    [code, message],
    ['ERR_PROGRAM', 'cannot start /nonexistent/prefix: there is no such program'],
  )
  await workshop.configure({ sources: { plain: { database: database.name, run: ['false'] } } })
  assert.equal((await workshop.error(['backup'], 1)).code, 'ERR_PROGRAM')
  assert.deepEqual(await workshop.json(['list']), { backups: [] })
})
