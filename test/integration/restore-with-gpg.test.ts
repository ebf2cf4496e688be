/**
 * `--identity gpg`: the secret key stays with the user's own gpg-agent, as with a smart card. A real gpg home with an agent,
 * and a pinentry that answers it, opens backups that are sealed to RSA and Cv25519 keys; and where it cannot, says why.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, type Reader, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { GnupgHome } from '../unit/openpgp-gnupg.ts'

const passphrase = 'three leaves in the wind'
const rsa = ['Key-Type: RSA', 'Key-Length: 3072', 'Subkey-Type: RSA', 'Subkey-Length: 3072']
const ed25519 = ['Key-Type: EDDSA', 'Key-Curve: ed25519', 'Subkey-Type: ECDH', 'Subkey-Curve: cv25519']

/** Its secret never leaves the home: where the others have a file with one, there is nothing. */
function makeKey(home: GnupgHome, name: string, kind: readonly string[]): Reader {
  const fingerprint = home.generateKey([
    ...kind,
    'Key-Usage: sign',
    'Subkey-Usage: encrypt',
    `Name-Real: ${name}`,
    `Name-Email: ${name}@example.org`,
    'Expire-Date: 1y',
    `Passphrase: ${passphrase}`,
  ])
  return { name, fingerprint, publicKey: home.exportPublic(fingerprint).toString(), secretKey: '' }
}

/** From now on the agent asks this pinentry, which writes down each time it is asked. */
function answer(home: GnupgHome, word: string): { readonly asked: () => number } {
  const script = join(home.path, 'pinentry')
  const log = join(home.path, `asked-${randomUUID()}`)
  writeFileSync(log, '')
  const lines = `echo OK; while read -r line; do case $line in
    GETPIN*) echo asked >> ${log}; echo 'D ${word}'; echo OK ;; BYE*) echo OK; exit ;; *) echo OK ;; esac; done`
  writeFileSync(script, `#!/bin/sh\n${lines}\n`, { mode: 0o700 })
  writeFileSync(join(home.path, 'gpg-agent.conf'), `pinentry-program ${script}\n`)
  home.forget()
  return { asked: () => readFileSync(log, 'utf8').split('\n').length - 1 }
}

let home: GnupgHome
let carla: Reader
let ana: Reader
let database: TestDatabase
let workshop: Workshop
before(async () => {
  home = new GnupgHome()
  carla = makeKey(home, 'carla', rsa)
  ana = makeKey(home, 'ana', ed25519)
  database = await makeDatabase('agent')
  await database.sql(`CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO people SELECT n, md5(n::text) FROM generate_series(1, 5000) n; SELECT lo_from_bytea(1, 'portrait')`)
  workshop = await makeWorkshop({
    sources: { agent: { url: database.url } },
    readers: [carla, ana],
    env: { GNUPGHOME: home.path },
  })
  await workshop.json(['backup'])
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  home.close()
})

const show = (identity: string): readonly string[] => [
  'show',
  'latest',
  '--inventory',
  '--identity',
  identity,
]

test('a key that only the agent holds restores a backup; its passphrase is asked for once', async () => {
  const { asked } = answer(home, passphrase)
  const identity = `gpg:${carla.fingerprint.toLowerCase()}`
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', identity])
  assert.equal(asked(), 1)
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

test('an RSA key and a Cv25519 key open, by either fingerprint, and gpg alone takes whichever fits', async () => {
  answer(home, passphrase)
  const fingerprints = [carla.fingerprint, ana.fingerprint, home.encryptionSubkey(ana.fingerprint)]
  for (const identity of ['gpg', ...fingerprints.map((one) => `gpg:${one}`)]) {
    const { inventory } = await workshop.json(show(identity))
    assert.equal((inventory as { tables: unknown[] }).tables.length, 1)
  }
})

test('a passphrase file spares the agent its question', async () => {
  const { asked } = answer(home, 'nobody is there')
  const file = join(workshop.folder, 'words')
  writeFileSync(file, `${passphrase}\n`, { mode: 0o600 })
  await workshop.json([...show(`gpg:${ana.fingerprint}`), '--passphrase-file', file])
  assert.equal(asked(), 0)
})

test('a session key reaches neither a log that gpg.conf asks for nor what coffre prints', async () => {
  answer(home, passphrase)
  const log = join(home.path, 'gpg.log')
  const conf = join(home.path, 'gpg.conf')
  writeFileSync(log, '')
  writeFileSync(conf, `log-file ${log}\nshow-session-key\nverbose\n`)
  const { stdout, stderr } = await workshop.coffre([...show('gpg'), '--verbose'])
  writeFileSync(conf, '')
  for (const text of [stdout, stderr, readFileSync(log, 'utf8')])
    assert.doesNotMatch(text, /session.key|9:[0-9A-F]{64}/i)
})

test('a wrong passphrase ends with 7 and the reason', async () => {
  const file = join(workshop.folder, 'wrong-words')
  writeFileSync(file, 'four leaves\n', { mode: 0o600 })
  answer(home, 'four leaves')
  const { code, message } = await workshop.error(
    [...show(`gpg:${ana.fingerprint}`), '--passphrase-file', file],
    7,
  )
  assert.equal(code, 'ERR_NO_IDENTITY')
  assert.match(message, /Bad passphrase/)
  assert.doesNotMatch(message, /four leaves/)
})

test('where nobody can ask for the passphrase the error says how to let gpg ask', async () => {
  answer(home, passphrase)
  writeFileSync(join(home.path, 'gpg-agent.conf'), 'pinentry-program /bin/false\n')
  home.forget()
  const { message, hint } = await workshop.error(show(`gpg:${ana.fingerprint}`), 7)
  assert.match(message, /gpg does not open the session key: .*pinentry/i)
  assert.match(hint, /GPG_TTY/)
})

test('an agent without a fitting key ends with 7 and names the keys that would do', async () => {
  const stranger = new GnupgHome()
  try {
    for (const made of [undefined, makeKey(stranger, 'mallory', ed25519)]) {
      const env = { GNUPGHOME: stranger.path }
      const { stderr } = await workshop.coffre(show('gpg'), { status: 7, env })
      for (const { fingerprint } of [carla, ana]) assert.match(stderr, new RegExp(fingerprint))
      if (made !== undefined) assert.match(stderr, new RegExp(made.fingerprint))
      const named = await workshop.coffre(show(`gpg:${ana.fingerprint}`), { status: 7, env })
      assert.match(named.stderr, new RegExp(`gpg has no secret key ${ana.fingerprint}`))
    }
  } finally {
    stranger.close()
  }
})

test('an offline subkey is not taken for one that opens', async () => {
  const card = new GnupgHome()
  try {
    // Without the secret subkey: what is left is the same as a key whose card was never seen here.
    const secret = home.exportSecret(ana.fingerprint, passphrase, '--export-secret-keys')
    card.succeed(['--pinentry-mode', 'loopback', '--passphrase', passphrase, '--import'], secret)
    const lines = card.succeed(['--with-colons', '--with-keygrip', '--list-secret-keys']).toString()
    const grip =
      lines
        .split('\n')
        .filter((line) => line.startsWith('grp:'))[1]
        ?.split(':')[9] ?? ''
    card.dropSecret(grip)
    const env = { GNUPGHOME: card.path }
    const { stderr } = await workshop.coffre(show('gpg'), { status: 7, env })
    assert.match(stderr, /gpg, which has no secret key that decrypts, does not open/)
  } finally {
    card.close()
  }
})

test('a short fingerprint is refused: two keys can share one', async () => {
  const { code, hint } = await workshop.error(show(`gpg:${ana.fingerprint.slice(-16)}`), 2)
  assert.equal(code, 'ERR_USAGE')
  assert.match(hint, /fingerprint/)
})

test('a machine without gpg says so', async () => {
  const bin = join(workshop.folder, 'bin')
  mkdirSync(bin)
  for (const program of ['dirname', 'uname']) symlinkSync(`/usr/bin/${program}`, join(bin, program))
  const { stderr } = await workshop.coffre(show('gpg'), { status: 1, env: { PATH: bin } })
  assert.match(stderr, /cannot run gpg/)
  assert.match(stderr, /install gnupg/)
})
