/**
 * A protected identity on a terminal: coffre asks for its passphrase, shows nothing of it, and opens the backup; a wrong
 * one ends with 7. The terminal is a real one, made by `script`.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { generateKey } from '../../src/openpgp/keys.ts'
import { home, makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'

const passphrase = 'wörd by word'

let database: TestDatabase
let workshop: Workshop
before(async () => {
  database = await makeDatabase('prompt')
  await database.sql('CREATE TABLE t AS SELECT generate_series(1, 10) AS n')
  const key = await generateKey({
    name: 'alice',
    email: 'alice@example.org',
    kind: 'ed25519',
    use: 'encrypt',
    validDays: 400,
    passphrase: Buffer.from(passphrase),
    now: new Date(),
  })
  workshop = await makeWorkshop({
    sources: { prompt: { url: database.url } },
    readers: [{ name: 'alice', ...key }],
  })
  await workshop.coffre(['backup'])
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

/** Runs a restore on a terminal and types these keys when it asks. */
async function typing(words: string): Promise<{ readonly status: number | null; readonly screen: string }> {
  const quoted = ['restore', 'latest', '--identity', workshop.identity(), '--to', database.restored.url]
    .map((word) => `'${word}'`)
    .join(' ')
  const terminal = spawn(
    'script',
    ['-q', '-e', '-f', '-c', `${join(home, 'bin/coffre')} ${quoted}`, '/dev/null'],
    {
      cwd: workshop.folder,
      env: { ...process.env, LANG: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  let screen = ''
  let asked = false
  terminal.stdout.on('data', (bytes: Buffer) => {
    screen += bytes.toString('utf8')
    if (asked || !screen.includes('passphrase of')) return
    asked = true
    terminal.stdin.write(words)
  })
  const [status] = (await once(terminal, 'close')) as [number | null]
  terminal.stdin.end()
  return { status, screen }
}

test('the passphrase that is asked for is not shown, a wrong one ends with 7, and the right one restores', async () => {
  const wrong = await typing('another\r')
  assert.equal(wrong.status, 7, wrong.screen)
  assert.match(wrong.screen, /the passphrase is wrong/)
  assert.ok(!wrong.screen.includes('another'), 'it was shown')
  const { status, screen } = await typing(`${passphrase}\r`)
  assert.equal(status, 0, screen)
  assert.match(screen, /passphrase of .*alice-secret\.asc/)
  assert.ok(!screen.includes(passphrase), 'it was shown')
})

test('Ctrl-C and Ctrl-D at the question end it with 130, and nothing is made', async () => {
  for (const key of ['\u0003', '\u0004']) {
    const { status, screen } = await typing(key)
    assert.equal(status, 130, screen)
    assert.match(screen, /nobody answered/)
  }
})
