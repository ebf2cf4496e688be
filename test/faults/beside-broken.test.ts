/**
 * Going on beside something broken, as somebody meets it in an emergency: `latest` never falls back unasked and says
 * what to type instead, and junk among the keyrings stops sealing only. What is found broken, and where, is for
 * tampered-artifacts and tampered-trust.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import { filesBelow, replaceFolder } from '../support/repository-folder.ts'

let database: TestDatabase
let workshop: Workshop
let older: string
let newer: string

before(async () => {
  database = await makeDatabase('beside')
  await database.sql('CREATE TABLE people AS SELECT n FROM generate_series(1, 50) n')
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  older = String((await workshop.json(['backup']))['id'])
  newer = String((await workshop.json(['backup']))['id'])
  await replaceFolder(join(workshop.folder, 'untouched'), repository())
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const repository = (): string => join(workshop.folder, 'repository')
const untouched = (): Promise<void> => replaceFolder(repository(), join(workshop.folder, 'untouched'))
const restoreWords = (id: string): readonly string[] => [
  'restore',
  id,
  '--to',
  database.restored.url,
  '--identity',
  workshop.identity(),
]

/** The wanted database and the staging ones beside it. */
async function restoredDatabases(): Promise<string> {
  return await sql(
    'postgres',
    `SELECT datname FROM pg_database WHERE starts_with(datname, '${database.name}_')`,
  )
}

/** The rows that a restore brought; the database it made is dropped again. */
async function restoredRows(id: string): Promise<{ readonly rows: unknown; readonly stderr: string }> {
  const { stdout, stderr } = await workshop.coffre([...restoreWords(id), '--json'])
  await sql('postgres', `DROP DATABASE "${database.restored.name}"`)
  return { rows: (JSON.parse(stdout) as Record<string, unknown>)['rows'], stderr }
}

function editManifest(id: string): void {
  const file = join(repository(), 'backups/shop', id, 'manifest.json')
  const text = readFileSync(file, 'utf8')
  const edited = text.replace('"plainBytes": ', '"plainBytes": 1')
  assert.notEqual(edited, text)
  writeFileSync(file, edited)
}

test('restore latest refuses a broken newest backup, and names the one that can be believed', async () => {
  await untouched()
  editManifest(newer)
  const { code, message, hint } = await workshop.error(restoreWords('latest'), 8)
  assert.equal(code, 'ERR_SIGNATURE')
  assert.match(message, new RegExp(`${newer} cannot be believed`))
  assert.match(hint, new RegExp(older))
  assert.equal(await restoredDatabases(), '')
  assert.equal((await restoredRows(older)).rows, 50)
})

test('restore latest takes the newest backup although an older one is broken', async () => {
  await untouched()
  editManifest(older)
  assert.equal((await restoredRows('latest')).rows, 50)
})

test('where no backup can be believed, restore latest promises none', async () => {
  await untouched()
  editManifest(older)
  editManifest(newer)
  const { message, hint } = await workshop.error(restoreWords('latest'), 8)
  assert.match(message, /cannot be believed/)
  assert.doesNotMatch(hint, new RegExp(`${older}|${newer}`))
  assert.equal(await restoredDatabases(), '')
})

test('the document of a backup made after a broken one carries the warning', async () => {
  await untouched()
  editManifest(newer)
  const { warnings } = await workshop.json(['backup'], { status: 3 })
  assert.ok(Array.isArray(warnings))
  assert.equal(warnings.length, 1)
  assert.match(String(warnings[0]), new RegExp(`${newer} cannot be believed`))
})

const junk: readonly (readonly [string, string])[] = [
  ['no JSON', 'nothing of the kind\n'],
  ['JSON of something else', '{}\n'],
]

for (const [what, text] of junk) {
  test(`a second keyring that is ${what}: list, verify and restore warn and go on, backup refuses`, async () => {
    await untouched()
    writeFileSync(join(repository(), 'keyrings/0002.json'), text)
    const warning = /^coffre: warning: .*keyring.*$/m
    for (const words of [['list'], ['verify', '--all'], ['show', 'latest']])
      assert.match((await workshop.coffre(words)).stderr, warning)
    const { rows, stderr } = await restoredRows('latest')
    assert.equal(rows, 50)
    assert.match(stderr, warning)
    const files = await filesBelow(repository())
    await workshop.error(['backup'], 8)
    assert.deepEqual(await filesBelow(repository()), files)
  })
}
