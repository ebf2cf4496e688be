/**
 * A key split among three opens a real backup again: by coffre with any two shares, and without coffre by the lines of
 * docs/keys.md as printed. And the secrets are nowhere but where they belong.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { home, makeWorkshop, runCoffre, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { combineByPython, keysPageBlock } from '../support/shares.ts'
import { shellBlocks } from '../support/stock-procedure.ts'
import { GnupgHome } from '../unit/openpgp-gnupg.ts'

const coffre = join(home, 'bin/coffre')
let database: TestDatabase
let workshop: Workshop
let backup: string
let said: string
let sealed: string
let shares: readonly string[]
before(async () => {
  database = await makeDatabase('split')
  await database.sql('CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n')
  workshop = await makeWorkshop({ sources: { split: { url: database.url } } })
  backup = String((await workshop.json(['backup']))['id'])
  const made = await workshop.coffre(['keys', 'split', workshop.identity(), '--to', 'kits', '--verbose'])
  said = made.stdout + made.stderr
  const folder = join(workshop.folder, 'kits')
  sealed = join(folder, `${workshop.readers[0]?.fingerprint}-sealed.asc`)
  shares = [1, 2, 3].map((index) => join(folder, `share-${index}-of-3.txt`))
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const textOf = (indexes: readonly number[]): string =>
  indexes.map((index) => readFileSync(shares[index - 1] ?? '', 'utf8')).join('')

/** Typed lines only, as from paper. */
const typedOf = (indexes: readonly number[]): string =>
  textOf(indexes)
    .split('\n')
    .filter((line) => /^[1-8]\/8 /.test(line))
    .join('\n')

async function combined(text: string, status = 0): Promise<string> {
  const ran = await runCoffre(['keys', 'combine'], { cwd: workshop.folder, input: text })
  assert.equal(ran.status, status, ran.stderr)
  return status === 0 ? ran.stdout.trim() : ran.stderr
}

test('any two of the three shares open the backup that was made before the key was split', async () => {
  const passphrases = new Set<string>()
  for (const some of [
    [1, 2],
    [1, 3],
    [3, 2],
  ]) {
    passphrases.add(await combined(typedOf(some)))
    passphrases.add(combineByPython(textOf(some)).passphrase)
  }
  assert.equal(passphrases.size, 1)
  const [one, , three] = shares
  const show = `cat '${one}' '${three}' | sed /COFFRE/d | '${coffre}' keys combine |
    '${coffre}' show latest --inventory --json --identity '${sealed}' --passphrase-file /dev/stdin`
  const shown = spawnSync('bash', ['-c', `set -o pipefail; ${show}`], { cwd: workshop.folder })
  assert.equal(shown.status, 0, shown.stderr.toString())
  const { inventory } = JSON.parse(shown.stdout.toString()) as { inventory: { tables: { rows: number }[] } }
  assert.deepEqual(
    inventory.tables.map(({ rows }) => rows),
    [1000],
  )
})

test('without coffre: python3 and gpg open an artifact by the printed lines', () => {
  const folder = join(workshop.folder, 'repository/backups/split', backup)
  writeFileSync(join(workshop.folder, 'combine.py'), keysPageBlock('python'))
  writeFileSync(join(workshop.folder, 'shares.txt'), typedOf([2, 3]))
  const plain = join(workshop.folder, 'globals.sql.zst')
  const [block = ''] = shellBlocks(readFileSync(join(home, 'docs/keys.md'), 'utf8'))
  const lines = `set -euo pipefail\n${block}\ngpgconf --kill all; rm -rf "$GNUPGHOME"`
  const ran = spawnSync('bash', ['-c', lines], {
    cwd: workshop.folder,
    env: {
      ...process.env,
      SEALED_KEY: sealed,
      SHARES: join(workshop.folder, 'shares.txt'),
      PLAIN: plain,
      ARTIFACT: join(folder, 'globals.sql.zst.gpg'),
    },
  })
  assert.equal(ran.status, 0, ran.stderr.toString())
  assert.equal(spawnSync('zstd', ['-t', '-q', plain]).status, 0)
})

test('the sealed key is closed to everything but the new passphrase', async () => {
  const passphrase = await combined(textOf([1, 2]))
  assert.match(passphrase, /^[0-9a-f]{64}$/)
  const gnupg = new GnupgHome()
  try {
    gnupg.importKey(readFileSync(sealed))
    const decrypt = ['--pinentry-mode', 'loopback', '--passphrase-fd', '0', '--decrypt']
    const artifact = join(workshop.folder, 'repository/backups/split', backup, 'inventory.json.zst.gpg')
    assert.notEqual(gnupg.run([...decrypt, artifact], 'f'.repeat(64)).exitStatus, 0)
    assert.notEqual(gnupg.run([...decrypt, artifact], '\n').exitStatus, 0)
    gnupg.succeed([...decrypt, artifact], passphrase)
  } finally {
    gnupg.close()
  }
})

test('each share is alone in a file of its own, for its owner only, and nothing secret was said', async () => {
  const passphrase = await combined(textOf([1, 2]))
  const folder = join(workshop.folder, 'kits')
  assert.equal(readdirSync(folder).length, 4)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  const secrets = [
    passphrase,
    ...typedOf([1, 2, 3])
      .split('\n')
      .map((line) => line.slice(5)),
  ]
  for (const [at, file] of shares.entries()) {
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const text = readFileSync(file, 'utf8')
    assert.equal(text.match(/^[1-8]\/8 /gm)?.length, 8)
    assert.match(text, new RegExp(`share ${at + 1} of 3`))
    assert.ok(text.includes(workshop.readers[0]?.fingerprint ?? '-'))
    assert.ok(!text.includes(passphrase))
  }
  assert.equal(secrets.length, 25)
  for (const secret of secrets) assert.ok(!said.includes(secret), 'a secret was said')
  // A second run neither overwrites nor mixes.
  const again = await workshop.error(['keys', 'split', workshop.identity(), '--to', 'kits'], 1)
  assert.equal(again.code, 'ERR_EXISTS')
})

test('wrong shares end with 7 and say which, without a passphrase on stdout', async () => {
  assert.match(await combined(textOf([1]), 7), /2 of the 3 shares of set \w+ are needed.*\n.*2, 3/)
  assert.match(await combined(typedOf([1, 1]), 7), /share 1 of set \w+ was given twice/)
  await workshop.coffre(['keys', 'split', workshop.identity(), '--to', 'others'])
  const stranger = readFileSync(join(workshop.folder, 'others/share-2-of-3.txt'), 'utf8')
  const mixed =
    typedOf([1]) +
    '\n' +
    stranger
      .split('\n')
      .filter((line) => /^[1-8]\/8 /.test(line))
      .join('\n')
  assert.match(await combined(mixed, 7), /do not go together/)
})

test('on a terminal each line is asked for, a mistyped one again, and nothing typed is shown', async () => {
  const terminal = spawn('script', ['-q', '-e', '-f', '-c', `'${coffre}' keys combine`, '/dev/null'], {
    cwd: workshop.folder,
    env: { ...process.env, LANG: 'C.UTF-8' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = typedOf([3]).split('\n')
  const [scanned = ''] = textOf([1]).match(/^COFFRE-SHARE-1:.*$/m) ?? []
  const words = [lines[0], 'AAAA AAAA AAAA', ...lines.slice(1), scanned]
  let screen = ''
  let asked = 0
  terminal.stdout.on('data', (bytes: Buffer) => {
    screen += bytes.toString('utf8')
    const questions = screen.match(/line \d of 8: /g)?.length ?? 0
    while (asked < questions) terminal.stdin.write(`${words[asked++]}\r`)
  })
  const [status] = (await once(terminal, 'close')) as [number | null]
  terminal.stdin.end()
  assert.equal(status, 0, screen)
  assert.match(screen, /line 2 of share number 1 is mistyped: once more/)
  assert.match(screen, /That was share 3 of 3, set [0-9A-F]{8}; 2 are needed/)
  assert.match(screen, new RegExp(await combined(textOf([1, 3]))))
  for (const word of words) assert.ok(!screen.includes(word?.slice(5) ?? '-'), 'it was shown')
})
