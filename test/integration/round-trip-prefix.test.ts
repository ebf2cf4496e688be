/**
 * Everything behind a command prefix: the server has no TCP port, only the prefix knows where its socket is, and coffre's
 * own PATH has no client program at all. So whatever reached the server went through the prefix.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
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
  const named = ['--to-source', 'hidden', '--database', database.restored.name]
  const restored = await workshop.json(['restore', 'latest', ...named, '--identity', workshop.identity()])
  assert.equal(restored['ok'], true)
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  const programs = new Set((await prefix.calls()).map((words) => words.split(' ')[0] ?? ''))
  assert.deepEqual(programs, new Set(['psql', 'pg_dump', 'pg_dumpall', 'pg_restore']))
  const words = (await prefix.calls()).join('\n')
  assert.doesNotMatch(words, /host=/, 'where the server is, only the prefix knows')

  await workshop.configure({ sources: { hidden: { ...source, run: undefined } } })
  const { code, message } = await workshop.error(['backup'], 1)
  assert.deepEqual([code, message], ['ERR_PROGRAM', 'cannot start pg_dump: there is no such program'])
})

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
