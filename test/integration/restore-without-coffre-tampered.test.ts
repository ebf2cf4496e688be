/**
 * docs/restore-without-coffre.md fails closed: whatever was altered, exchanged or moved in a repository, its lines, run as
 * written, stop with a status other than 0 and never say that the backup is genuine.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { readKey } from 'openpgp'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { parseKeyring, type Keyring } from '../../src/model/keyring.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { page, shellBlocks, StockMachine, workFolder } from '../support/stock-procedure.ts'
import { damagedRepository, readDamages, readVector, vectorNames } from '../support/vectors.ts'
import { ed25519Parameters, GnupgHome } from '../unit/openpgp-gnupg.ts'

let database: TestDatabase
let workshop: Workshop
let first: string
let second: string
let machine: StockMachine
/** Somebody else's keys: one that signs, with a subkey that signs too. */
let stranger: { readonly home: GnupgHome; readonly fingerprint: string; readonly subkey: string }

before(async () => {
  database = await makeDatabase('tampered')
  await database.sql('CREATE TABLE t AS SELECT generate_series(1, 100) AS n')
  workshop = await makeWorkshop({ sources: { app: { url: database.url } } })
  first = String((await workshop.json(['backup']))['id'])
  second = String((await workshop.json(['backup']))['id'])
  machine = new StockMachine()
  const home = new GnupgHome()
  const signingOnly = ed25519Parameters.map((line) =>
    line.replace('ECDH', 'EDDSA').replace('cv25519', 'ed25519').replace('encrypt', 'sign'),
  )
  const fingerprint = home.generateKey(signingOnly)
  const lines = home.succeed(['--with-colons', '--list-keys']).toString().split('\n')
  const subkey = lines[lines.findIndex((line) => line.startsWith('sub:')) + 1]?.split(':')[9] ?? ''
  stranger = { home, fingerprint, subkey }
})
after(async () => {
  stranger.home.close()
  machine[Symbol.dispose]()
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

interface Place {
  readonly repository: string
  readonly backup: string
  readonly manifest: string
  readonly keyring: string
}

/** Runs the page over a copy of the repository that `tamper` changed; `chosen` stands for the variables people set. */
async function follow(tamper: (place: Place) => unknown, chosen: Readonly<Record<string, string>> = {}) {
  using folder = workFolder()
  const repository = join(folder.path, 'repository')
  cpSync(join(workshop.folder, 'repository'), repository, { recursive: true })
  const backup = join(repository, 'backups/app', first)
  await tamper({
    repository,
    backup,
    manifest: join(backup, 'manifest.json'),
    keyring: join(repository, 'keyrings/0001.json'),
  })
  const { root } = workshop.config['trust'] as { root: string }
  const variables = { REPOSITORY: repository, SOURCE: 'app', BACKUP: first, ROOT: root, ...chosen }
  return await machine.run(shellBlocks(page), { cwd: folder.path, variables })
}

async function stops(
  why: RegExp,
  tamper: (place: Place) => unknown,
  chosen?: Readonly<Record<string, string>>,
): Promise<void> {
  const { status, said } = await follow(tamper, chosen)
  assert.notEqual(status, 0, said)
  assert.match(said, why)
  assert.doesNotMatch(said, /OK: block 5/)
}

function replace(file: string, from: string | RegExp, to: string): void {
  const text = readFileSync(file, 'latin1')
  assert.notEqual(text.replace(from, to), text, `${file} has nothing to replace`)
  writeFileSync(file, text.replace(from, to), 'latin1')
}

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(at < 0 ? bytes.length + at : at) ^ 1, at < 0 ? bytes.length + at : at)
  writeFileSync(file, bytes)
}

function readKeyring(file: string): Keyring {
  return parseKeyring(readFileSync(file))
}

/** The keyring as somebody else would have it, signed by one of their keys. */
function forge(file: string, keyring: Keyring, signingKey: string): void {
  writeFileSync(file, encodeJson(keyring))
  sign(file, signingKey)
}

function sign(file: string, signingKey: string): void {
  rmSync(`${file}.asc`)
  stranger.home.succeed(['--armor', '-u', `${signingKey}!`, '-o', `${file}.asc`, '--detach-sign', file])
}

const nothing = (): void => {}

test('an untouched repository passes, so that the refusals below mean something', async () => {
  const { status, said } = await follow(nothing)
  assert.equal(status, 0, said)
  assert.match(said, /OK: block 5\n$/)
  assert.match(said, /as it was at \d{4}-\d\d-\d\dT\S+Z, backup number 1, signed by [0-9A-F]{40}/)
})

test('what people set wrongly is refused', async () => {
  await stops(/STOP: ROOT is not a fingerprint/, nothing, { ROOT: '' })
  await stops(/STOP: ROOT is not a fingerprint/, nothing, { ROOT: 'ABCDEF12' })
  await stops(/STOP: this keyring is that of another root/, nothing, { ROOT: stranger.fingerprint })
  await stops(/STOP: SOURCE is not the name of a source/, nothing, { SOURCE: '../app' })
  await stops(/STOP: BACKUP is not the id of a backup/, nothing, { BACKUP: 'latest' })
  await stops(/STOP: there is no backup in/, nothing, { BACKUP: '20261123T020000Z-7f3a9c2e' })
})

test('a byte changed in any file of the backup, or in the keyring, is seen', async () => {
  const altered = /STOP: the files named above were altered/
  await stops(altered, ({ backup }) => flipByte(join(backup, 'rows/0001.sql.zst.gpg'), -1))
  await stops(altered, ({ backup }) => flipByte(join(backup, 'inventory.json.zst.gpg'), 5))
  await stops(altered, ({ backup }) => rmSync(join(backup, 'schema.dump.zst.gpg')))
  await stops(/STOP: RESTORE.md was altered: do not open it/, ({ backup }) =>
    flipByte(join(backup, 'RESTORE.md'), 100),
  )
  await stops(/STOP: the manifest is not signed by a host/, ({ manifest }) =>
    replace(manifest, '"sequence": 1', '"sequence": 2'),
  )
  await stops(/STOP: the manifest is not signed by a host/, ({ manifest }) => flipByte(manifest, -1))
  await stops(/STOP: the keyring is not signed by the root/, ({ keyring }) =>
    replace(keyring, '"version": 1', '"version": 1 '),
  )
  await stops(/STOP: the keyring is not signed by the root/, ({ keyring }) => flipByte(keyring, -1))
  await stops(/STOP/, ({ manifest }) => flipByte(`${manifest}.asc`, 120))
  await stops(/STOP/, ({ keyring }) => rmSync(`${keyring}.asc`))
})

test('two artifacts exchanged for each other are seen', async () => {
  await stops(/STOP: the files named above were altered/, ({ backup }) => {
    const [one, other] = ['schema.dump.zst.gpg', 'globals.sql.zst.gpg'].map((name) => join(backup, name))
    renameSync(one!, `${one}.x`)
    renameSync(other!, one!)
    renameSync(`${one}.x`, other!)
  })
})

test('a genuine backup under the name of another backup or of another source is seen', async () => {
  await stops(/STOP: this is the manifest of another backup, moved here/, ({ backup, repository }) => {
    cpSync(join(repository, 'backups/app', second), backup, { recursive: true })
  })
  await stops(/STOP: the keyring trusts no host for other/, ({ backup }) => moveToSource(backup), {
    SOURCE: 'other',
  })
})

function moveToSource(backup: string): void {
  cpSync(backup, join(dirname(dirname(backup)), 'other', first), { recursive: true })
}

test('a keyring of another root, with that root‘s own good signature, is seen', async () => {
  await stops(/STOP: this keyring is that of another root/, ({ keyring }) => {
    const publicKey = stranger.home.exportPublic(stranger.fingerprint).toString()
    const root = { fingerprint: stranger.fingerprint, publicKey }
    forge(keyring, { ...readKeyring(keyring), root }, stranger.fingerprint)
  })
})

test('a keyring that names the genuine root but was signed by somebody else is seen', async () => {
  await stops(/STOP: the keyring is not signed by the root/, ({ keyring }) =>
    sign(keyring, stranger.fingerprint),
  )
})

test('a stranger‘s key hidden beside the genuine root‘s key gives no trust', async () => {
  await stops(/STOP: the keyring must name one root/, async ({ keyring }) => {
    const genuine = readKeyring(keyring)
    stranger.home.importKey(genuine.root.publicKey)
    const both = stranger.home
      .succeed(['--armor', '--export', genuine.root.fingerprint, stranger.fingerprint])
      .toString()
    forge(keyring, { ...genuine, root: { ...genuine.root, publicKey: both } }, stranger.fingerprint)
  })
})

test('a stranger‘s subkey hung onto the genuine root‘s key gives no trust', async () => {
  await stops(
    /STOP: the keyring is (not signed by the root|signed by [0-9A-F]{40}, which is not the root)/,
    async ({ keyring }) => {
      const genuine = readKeyring(keyring)
      const key = await readKey({ armoredKey: genuine.root.publicKey })
      const armoredKey = stranger.home.exportPublic(stranger.fingerprint).toString()
      key.subkeys.push(...(await readKey({ armoredKey })).subkeys)
      forge(keyring, { ...genuine, root: { ...genuine.root, publicKey: key.armor() } }, stranger.subkey)
    },
  )
})

test('a manifest signed by somebody else is seen', async () => {
  await stops(/STOP: the manifest is not signed by a host/, ({ manifest }) =>
    sign(manifest, stranger.fingerprint),
  )
})

/** Writes a keyring the root really signed, with these signers beside the host, whose sources may be others. */
function resign(file: string, hostSources: readonly string[]): void {
  const genuine = readKeyring(file)
  const [host] = genuine.signers
  assert.ok(host)
  const publicKey = stranger.home.exportPublic(stranger.fingerprint).toString()
  const other = { fingerprint: stranger.fingerprint, publicKey }
  const signers: Keyring['signers'] = [
    { ...other, role: 'driller', sources: [] },
    { ...other, role: 'operator', sources: ['app', '*'] },
    { ...other, role: 'host', sources: ['application', 'ap', 'my-app'] },
    { ...host, sources: [...hostSources] },
  ]
  stranger.home.importKey(readFileSync(join(workshop.folder, 'keys/root-secret.asc')))
  forge(file, { ...genuine, signers }, genuine.root.fingerprint)
}

test('of several signers only a host of this very source counts', async () => {
  for (const sources of [['app'], ['*'], ['first', 'app', 'last']]) {
    const { status, said } = await follow(({ keyring }) => resign(keyring, sources))
    assert.equal(status, 0, said)
  }
  await stops(/STOP: the keyring trusts no host for app/, ({ keyring }) => resign(keyring, ['ap', 'apps']))
  await stops(/STOP: the manifest is not signed by a host/, ({ keyring, manifest }) => {
    resign(keyring, ['app'])
    sign(manifest, stranger.fingerprint)
  })
})

test('a backup of another repository under the same root is not taken for one of this', async () => {
  await stops(/STOP: the keyring is not signed by the root/, ({ keyring }) => {
    forge(keyring, { ...readKeyring(keyring), repository: '0'.repeat(32) }, stranger.fingerprint)
  })
})

/** Damages of the format vectors that the page need not see: it reads neither of these files. */
const unseen = ["another repository's id", 'a genuine keyring under another number']

for (const name of vectorNames()) {
  const vector = readVector(name)
  for (const damage of readDamages(vector)) {
    const { open, read, verify } = damage.expect
    const vouchedFor = damage.change.some((change) => change.do === 'recount')
    const concerns = [open, read].includes('ERR_SIGNATURE') || (verify === 'ERR_DIGEST' && !vouchedFor)
    if (!concerns || unseen.includes(damage.name)) continue

    test(`${name}, damaged: ${damage.name}`, async () => {
      using damaged = await damagedRepository(vector, damage)
      const variables = {
        REPOSITORY: damaged.path,
        SOURCE: vector.source,
        BACKUP: damaged.id,
        ROOT: vector.root,
      }
      const { status, said } = await machine.run(shellBlocks(page), { cwd: damaged.path, variables })
      assert.notEqual(status, 0, said)
      assert.match(said, /^STOP: /m)
      assert.doesNotMatch(said, /OK: block 5/)
    })
  }
}
