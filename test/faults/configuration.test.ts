/**
 * What people get wrong before anything runs: settings, names, keys. Each ends with its own status, names the
 * place and what to do, and makes nothing. What a single setting may be is for the configuration's
 * unit tests; unknown commands and options are for cli/help.
 */
import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { generateKey } from '../../src/openpgp/keys.ts'
import { makeReader, makeWorkshop, runCoffre, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import { filesBelow } from '../support/repository-folder.ts'

let database: TestDatabase
let workshop: Workshop
let id: string
let right: string

before(async () => {
  database = await makeDatabase('configured')
  await database.sql('CREATE TABLE people AS SELECT n FROM generate_series(1, 50) n')
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  id = String((await workshop.json(['backup']))['id'])
  right = await readFile(file(), 'utf8')
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const file = (): string => join(workshop.folder, 'coffre.yaml')
const repository = (): string => join(workshop.folder, 'repository')
const restoreWords = (wanted: string, identity = workshop.identity()): readonly string[] => [
  'restore',
  wanted,
  '--to',
  database.restored.url,
  '--identity',
  identity,
]

interface Refused {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly exitStatus: number
}

/** Runs it with --json: one document, all its fields and nothing else on stderr; stdout empty; nothing made anywhere. */
async function refused(words: readonly string[], status: number, cwd = workshop.folder): Promise<Refused> {
  const stored = await filesBelow(repository())
  const outcome = await runCoffre([...words, '--json'], { cwd })
  assert.equal(outcome.status, status, `${words.join(' ')}\n${outcome.stderr}`)
  assert.equal(outcome.stdout, '')
  assert.match(outcome.stderr, /^\{.*\}\n$/)
  const document = JSON.parse(outcome.stderr) as { readonly error: Refused }
  assert.deepEqual(Object.keys(document), ['error'])
  assert.deepEqual(Object.keys(document.error), ['code', 'message', 'hint', 'exitStatus'])
  assert.equal(document.error.exitStatus, status)
  assert.notEqual(document.error.hint, '')
  assert.deepEqual(await filesBelow(repository()), stored)
  const made = `SELECT datname FROM pg_database WHERE starts_with(datname, '${database.name}_')`
  assert.equal(await sql('postgres', made), '')
  return document.error
}

/** Runs `check` with another configuration, and puts the right one back. */
async function configuredAs(text: string, check: () => Promise<void>): Promise<void> {
  assert.notEqual(text, right)
  await writeFile(file(), text)
  try {
    await check()
  } finally {
    await writeFile(file(), right)
  }
}

const slips: readonly (readonly [string, string])[] = [
  ['directory', 'directry'],
  ['recipients', 'recipient'],
  ['key_file', 'keyfile_'],
]

for (const [key, misspelt] of slips) {
  test(`${misspelt} for ${key}: backup and restore name the file, the line and the key that was meant`, async () => {
    await configuredAs(right.replace(`${key}:`, `${misspelt}:`), async () => {
      const lines = (await readFile(file(), 'utf8')).split('\n')
      const line = lines.findIndex((one) => one.includes(`${misspelt}:`)) + 1
      for (const words of [['backup'], restoreWords(id)]) {
        const { code, message, hint } = await refused(words, 2)
        assert.equal(code, 'ERR_CONFIG')
        assert.ok(`${message} ${hint}`.includes(`${file()}:${line}: `), message)
        assert.match(`${message} ${hint}`, new RegExp(`${misspelt}.*did you mean ${key}\\?`))
      }
    })
  })
}

for (const mode of [0o620, 0o602]) {
  test(`a configuration of mode ${mode.toString(8)} is not read: others could run commands through it`, async () => {
    await chmod(file(), mode)
    try {
      const { code, message, hint } = await refused(['backup'], 2)
      assert.equal(code, 'ERR_CONFIG')
      assert.ok(message.includes(file()))
      assert.equal(hint, `chmod go-w ${file()}`)
    } finally {
      await chmod(file(), 0o600)
    }
  })
}

test('without a configuration coffre says where it looked and how to make one', async () => {
  for (const words of [['backup'], ['list']]) {
    const { code, message, hint } = await refused(words, 2, repository())
    assert.equal(code, 'ERR_CONFIG')
    assert.ok(message.includes(join(repository(), 'coffre.yaml')), message)
    assert.match(hint, /coffre init/)
  }
})

test('an unknown source or repository is answered with those there are', async () => {
  for (const words of [
    ['backup', 'shpo'],
    ['backup', '--repository', 'mian'],
  ]) {
    const { code, message, hint } = await refused(words, 2)
    assert.equal(code, 'ERR_USAGE')
    assert.ok(message.includes(words.at(-1) ?? ''), message)
    assert.match(hint, words.length === 2 ? /shop/ : /main/)
  }
})

test('a backup that is not there is status 5, for every command that names one', async () => {
  const absent = `${id.slice(0, -8)}00000000`
  for (const words of [restoreWords(absent), ['show', absent], ['verify', absent]]) {
    const { code, message } = await refused(words, 5)
    assert.equal(code, 'ERR_NO_BACKUP')
    assert.ok(message.includes(absent), message)
  }
})

test('an identity that does not open it is status 7, and names its own fingerprint and those that would', async () => {
  const mallory = await makeReader('mallory')
  const identity = join(workshop.folder, 'mallory-secret.asc')
  await writeFile(identity, mallory.secretKey, { mode: 0o600 })
  const { code, message } = await refused(restoreWords(id, identity), 7)
  assert.equal(code, 'ERR_NO_IDENTITY')
  assert.ok(message.includes(mallory.fingerprint), message)
  assert.ok(message.includes(workshop.readers[0]?.fingerprint ?? '?'), message)
})

test('a protected identity is status 7 where nobody can be asked, and where the passphrase is wrong', async () => {
  const { secretKey } = await generateKey({
    name: 'bea',
    email: 'bea@example.org',
    kind: 'ed25519',
    use: 'encrypt',
    validDays: 400,
    passphrase: Buffer.from('correct horse'),
    now: new Date(),
  })
  const identity = join(workshop.folder, 'bea-secret.asc')
  const passphrase = join(workshop.folder, 'passphrase')
  await writeFile(identity, secretKey, { mode: 0o600 })
  await writeFile(passphrase, 'battery staple\n', { mode: 0o600 })
  const alone = await refused(restoreWords(id, identity), 7)
  assert.equal(alone.code, 'ERR_NO_IDENTITY')
  assert.match(alone.hint, /--passphrase-file/)
  const wrong = await refused([...restoreWords(id, identity), '--passphrase-file', passphrase], 7)
  assert.equal(wrong.code, 'ERR_NO_IDENTITY')
  assert.doesNotMatch(JSON.stringify(wrong), /battery|horse/)
})
