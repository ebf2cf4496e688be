/** Client programs older than the server or the backup: found before anything is written or made. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql } from '../support/postgres.ts'

/** A folder for PATH with a program that says it is older, and fails when it is asked to work. */
function olderProgram(name: string): Disposable & { readonly env: Readonly<Record<string, string>> } {
  const folder = mkdtempSync(join(tmpdir(), 'coffre-test-older-'))
  const path = join(folder, name)
  writeFileSync(
    path,
    `#!/bin/sh\n[ "$*" = --version ] && echo '${name} (PostgreSQL) 12.22' && exit\nexit 1\n`,
  )
  chmodSync(path, 0o755)
  return {
    env: { PATH: `${folder}:${process.env['PATH']}` },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}

async function refused(
  workshop: Workshop,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: string; message: string; hint: string }> {
  const { stderr } = await workshop.coffre([...words, '--json'], { status: 1, env })
  const line = stderr.split('\n').find((one) => one.startsWith('{"error"')) ?? assert.fail(stderr)
  return (JSON.parse(line) as { error: { code: string; message: string; hint: string } }).error
}

for (const name of ['pg_dump', 'pg_dumpall']) {
  test(`a ${name} older than the server is found before anything is written, and the way out is named`, async () => {
    await using database = await makeDatabase('older')
    await using workshop = await makeWorkshop({ sources: { source: { url: database.url } } })
    using older = olderProgram(name)
    const { code, message, hint } = await refused(workshop, ['backup', 'source'], older.env)
    assert.equal(code, 'ERR_PROGRAM')
    assert.match(message, new RegExp(`^${name} is 12\\.22, older than the server, 1\\d\\.`))
    assert.match(hint, /apt-get install postgresql-client-1\d .*run: \[docker/)
    assert.ok(!existsSync(join(workshop.folder, 'repository/backups')))
  })
}

test('a pg_restore older than the backup is found before anything is made', async () => {
  await using database = await makeDatabase('older')
  await using workshop = await makeWorkshop({ sources: { source: { url: database.url } } })
  await workshop.coffre(['backup', 'source'])
  using older = olderProgram('pg_restore')
  const words = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
  const { code, message, hint } = await refused(workshop, words, older.env)
  assert.equal(code, 'ERR_PROGRAM')
  assert.match(message, /^pg_restore is 12\.22, older than the pg_dump that made the backup, 1\d\./)
  assert.match(hint, /apt-get install postgresql-client-1\d /)
  const made = `SELECT count(*) FROM pg_database WHERE datname LIKE '${database.restored.name}%'`
  assert.equal(await sql('postgres', made), '0')
})
