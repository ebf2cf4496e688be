/**
 * Manifests, signatures and keyrings that were edited, exchanged, moved or forged: status 8 wherever they would be
 * believed, nothing restored; and what was not touched stays usable.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { readSigningKey, type SigningKey } from '../../src/openpgp/keys.ts'
import { signDetached } from '../../src/openpgp/signature.ts'
import { makeReader, makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { holds } from '../support/property.ts'
import { filesBelow, replaceFolder } from '../support/repository-folder.ts'

type Json = Record<string, unknown>

let database: TestDatabase
let workshop: Workshop
/** Somebody else's: another root, another host, the same database. */
let foreign: Workshop
let older: string
let newer: string
let foreignId: string

before(async () => {
  database = await makeDatabase('forged')
  await database.sql('CREATE TABLE people AS SELECT n FROM generate_series(1, 50) n')
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  foreign = await makeWorkshop({ sources: { shop: { url: database.url } } })
  older = String((await workshop.json(['backup']))['id'])
  newer = String((await workshop.json(['backup']))['id'])
  foreignId = String((await foreign.json(['backup']))['id'])
  await replaceFolder(join(workshop.folder, 'untouched'), repository())
})
after(async () => {
  await foreign[Symbol.asyncDispose]()
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const repository = (): string => join(workshop.folder, 'repository')
const backupFolder = (id = newer, source = 'shop'): string => join(repository(), 'backups', source, id)
const manifest = (id = newer): string => join(backupFolder(id), 'manifest.json')
const keyring = (): string => join(repository(), 'keyrings/0001.json')
const keyOf = ({ folder }: Workshop, name: 'root' | 'host'): Promise<SigningKey> =>
  readSigningKey(readFileSync(join(folder, `keys/${name}-secret.asc`)))

const read = (file: string): Json => JSON.parse(readFileSync(file, 'utf8')) as Json
const edit = (file: string, change: (value: Json) => void): void => {
  const value = read(file)
  change(value)
  writeFileSync(file, encodeJson(value))
}
const sign = async (file: string, key: SigningKey): Promise<void> =>
  writeFileSync(`${file}.asc`, await signDetached(readFileSync(file), key, new Date()))

const restoreWords = (id: string): readonly string[] => [
  'restore',
  id,
  '--to',
  urlOf(`${database.name}_restored`),
  '--identity',
  workshop.identity(),
]
const untouched = (): Promise<void> => replaceFolder(repository(), join(workshop.folder, 'untouched'))

interface Listed {
  readonly backups: readonly {
    readonly id: string
    readonly source: string
    readonly problem: { readonly code: string } | null
  }[]
}

/** The backup is refused by every command that would believe it; `list` marks it and goes on. */
async function assertNotBelieved(id: string, says: RegExp): Promise<void> {
  const [refused, verified, listed] = await Promise.all([
    workshop.error(restoreWords(id), 8),
    workshop.json(['verify', id], { status: 8 }),
    workshop.json(['list']),
  ])
  assert.match(refused.code, /^ERR_(SIGNATURE|FORMAT)$/)
  assert.match(refused.message, says)
  assert.equal(verified['ok'], false)
  const broken = (listed as unknown as Listed).backups.filter(({ problem }) => problem !== null)
  assert.deepEqual(
    broken.map((one) => one.id),
    [id],
  )
  const made = `SELECT count(*) FROM pg_database WHERE datname LIKE '${database.name}\\_%'`
  assert.equal(await sql('postgres', made), '0')
}

/** Every place in a JSON value, as a path to a leaf. */
function leaves(
  value: unknown,
  path: readonly (string | number)[] = [],
): readonly (readonly (string | number)[])[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => leaves(item, [...path, index]))
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, key]))
  return [path]
}

function alterLeaf(value: Json, path: readonly (string | number)[]): void {
  let holder: unknown = value
  for (const step of path.slice(0, -1)) holder = Reflect.get(Object(holder), step)
  const last = path.at(-1) ?? ''
  const found: unknown = Reflect.get(Object(holder), last)
  const other =
    typeof found === 'number'
      ? found + 1
      : typeof found === 'string'
        ? found.replace(/.$/, (c) => (c === '0' ? '1' : '0'))
        : '0'.repeat(64)
  Reflect.set(Object(holder), last, other)
}

test('an edited manifest is not believed, whichever field it is', async (t) => {
  const paths = leaves(read(manifest()))
  t.diagnostic(`${paths.length} fields`)
  await holds(
    t,
    fc.asyncProperty(fc.noShrink(fc.constantFrom(...paths)), async (path) => {
      await untouched()
      edit(manifest(), (value) => alterLeaf(value, path))
      const { backups } = (await workshop.json(['list'])) as unknown as Listed
      assert.equal(backups.find(({ id }) => id === newer)?.problem?.code, 'ERR_SIGNATURE', path.join('.'))
    }),
    6,
  )
  await assertNotBelieved(newer, /altered/)
})

const signatures: readonly (readonly [string, RegExp, () => Promise<void> | void])[] = [
  [
    "signed with a stranger's key",
    /not trusted here/,
    async () => sign(manifest(), await keyOf(foreign, 'host')),
  ],
  [
    'edited and signed by the root, which is no host',
    /not trusted here/,
    async () => {
      edit(manifest(), (value) => (value['plainBytes'] = 1))
      await sign(manifest(), await keyOf(workshop, 'root'))
    },
  ],
  ['without its signature', /has no signature/, () => rmSync(`${manifest()}.asc`)],
  ["with another backup's signature", /altered/, () => cpSync(`${manifest(older)}.asc`, `${manifest()}.asc`)],
  [
    'with two signatures in one file',
    /exactly one signature/,
    () => {
      const one = readFileSync(`${manifest()}.asc`, 'utf8')
      writeFileSync(`${manifest()}.asc`, `${one}\n${readFileSync(`${manifest(older)}.asc`, 'utf8')}`)
    },
  ],
  [
    'of an older backup, signature and all',
    /moved here/,
    () => {
      for (const name of ['manifest.json', 'manifest.json.asc'])
        cpSync(join(backupFolder(older), name), join(backupFolder(), name))
    },
  ],
  [
    "of somebody else's repository",
    /not trusted here/,
    () => {
      const theirs = join(foreign.folder, 'repository/backups/shop')
      for (const name of ['manifest.json', 'manifest.json.asc'])
        cpSync(join(theirs, foreignId, name), join(backupFolder(), name))
    },
  ],
  [
    'that says a key twice, and is signed by the host',
    /duplicate keys/,
    async () => {
      const text = readFileSync(manifest(), 'utf8').replace(
        '"sequence": 2,',
        '"sequence": 2,\n  "sequence": 3,',
      )
      writeFileSync(manifest(), text)
      await sign(manifest(), await keyOf(workshop, 'host'))
    },
  ],
  [
    'of a later format, signed by the host',
    /format 2, this coffre reads format 1/,
    async () => {
      edit(manifest(), (value) => (value['format'] = 2))
      await sign(manifest(), await keyOf(workshop, 'host'))
    },
  ],
  [
    'that names a file outside its folder, signed by the host',
    /is not possible/,
    async () => {
      edit(manifest(), ({ artifacts }) => ((artifacts as Json[])[0]!['name'] = '../../../coffre.json'))
      await sign(manifest(), await keyOf(workshop, 'host'))
    },
  ],
]

for (const [what, says, change] of signatures) {
  test(`a manifest ${what} is not believed`, async () => {
    await untouched()
    await change()
    await assertNotBelieved(newer, says)
  })
}

test('a backup moved to another id, another source or another repository is not believed', async () => {
  await untouched()
  const moved = `${newer.slice(0, 15)}Z-00000000`
  cpSync(backupFolder(), backupFolder(moved), { recursive: true })
  await assertNotBelieved(moved, /another backup .* moved here/)

  await untouched()
  cpSync(backupFolder(), backupFolder(newer, 'other'), { recursive: true })
  rmSync(backupFolder(), { recursive: true })
  await assertNotBelieved(newer, /not trusted here/)

  // The same host is trusted there too, for the same source: only the repository differs.
  await untouched()
  const theirs = join(foreign.folder, 'with our host')
  await replaceFolder(theirs, join(foreign.folder, 'repository'))
  const file = join(theirs, 'keyrings/0001.json')
  edit(file, (value) => (value['signers'] as unknown[]).push(...(read(keyring())['signers'] as unknown[])))
  await sign(file, await keyOf(foreign, 'root'))
  cpSync(backupFolder(), join(theirs, 'backups/shop', newer), { recursive: true })
  await foreign.configure({ repositories: { main: { directory: 'with our host' } } })
  const { message } = await foreign.error(['show', newer], 8)
  assert.match(message, /moved here/)
  await foreign.configure({ repositories: { main: { directory: 'repository' } } })
})

test('a restore guide that was edited, lengthened or deleted is named by verify', async () => {
  const guide = (): string => join(backupFolder(), 'RESTORE.md')
  const changes = [
    () => writeFileSync(guide(), readFileSync(guide(), 'utf8').replace('gpg', 'GPG')),
    () => writeFileSync(guide(), 'and one more line', { flag: 'a' }),
    () => rmSync(guide()),
  ]
  for (const change of changes) {
    await untouched()
    change()
    const { backups } = (await workshop.json(['verify'], { status: 8 })) as {
      backups: { problems: { artifact: string; code: string }[] }[]
    }
    assert.deepEqual(
      backups[0]?.problems.map(({ artifact, code }) => `${artifact} ${code}`),
      ['RESTORE.md ERR_DIGEST'],
    )
  }
})

test('list marks what cannot be believed and goes on; backup goes on too, with a warning, and what it makes is whole', async () => {
  await untouched()
  edit(manifest(), (value) => (value['sequence'] = 7))
  const { stdout } = await workshop.coffre(['list'])
  assert.match(stdout, new RegExp(`${older} +shop +\\d`))
  assert.match(stdout, new RegExp(`${newer} +shop +do not use: .*altered`))
  const made = await workshop.coffre(['backup'], { status: 3 })
  assert.match(made.stderr, new RegExp(`warning: ${newer} cannot be believed`))
  const { backups } = (await workshop.json(['list'])) as unknown as Listed
  const newest = String(backups.at(-1)?.id)
  assert.deepEqual(
    backups.map(({ problem }) => problem === null),
    [true, false, true],
  )
  assert.equal((await workshop.json(['verify', newest, older]))['ok'], true)
  assert.equal((await workshop.json(restoreWords(newest)))['rows'], 50)
  await sql('postgres', `DROP DATABASE "${database.name}_restored"`)
})

/** Every command refuses the whole repository, and a backup makes nothing in it. */
async function assertNoTrust(says: RegExp): Promise<void> {
  const files = await filesBelow(repository())
  const commands = [['list'], ['verify', '--all'], ['show', newer], restoreWords(newer), ['backup']]
  for (const { code, message } of await Promise.all(commands.map((words) => workshop.error(words, 8)))) {
    assert.match(code, /^ERR_(SIGNATURE|FORMAT)$/)
    assert.match(message, says)
  }
  assert.deepEqual(await filesBelow(repository()), files)
}

const keyrings: readonly (readonly [string, RegExp, () => Promise<void> | void])[] = [
  [
    "an attacker's own repository in its place",
    /another root/,
    () => replaceFolder(repository(), join(foreign.folder, 'repository')),
  ],
  [
    "an attacker's own keyring in it",
    /another root/,
    () => {
      for (const name of ['0001.json', '0001.json.asc'])
        cpSync(join(foreign.folder, 'repository/keyrings', name), join(dirname(keyring()), name))
    },
  ],
  [
    'a recipient added to the keyring',
    /altered/,
    async () => {
      const { fingerprint, publicKey } = await makeReader('mallory')
      edit(keyring(), ({ recipients }) =>
        (recipients as Json[]).push({ fingerprint, subkey: fingerprint, publicKey }),
      )
    },
  ],
  [
    'a signer added, and the keyring signed by that signer',
    /not trusted here/,
    async () => {
      edit(keyring(), ({ signers }) =>
        (signers as unknown[]).push(
          ...(read(join(foreign.folder, 'repository/keyrings/0001.json'))['signers'] as unknown[]),
        ),
      )
      await sign(keyring(), await keyOf(foreign, 'host'))
    },
  ],
  ['a keyring without a signature', /no signature/, () => rmSync(`${keyring()}.asc`)],
  [
    'another id in coffre.json',
    /another place/,
    () => edit(join(repository(), 'coffre.json'), (value) => (value['id'] = 'f'.repeat(32))),
  ],
]

for (const [what, says, change] of keyrings) {
  test(`${what}: nothing is believed, and nothing is sealed`, async () => {
    await untouched()
    await change()
    await assertNoTrust(says)
  })
}

test('a keyring added by somebody else stops what would be sealed, and does not stop reading', async () => {
  await untouched()
  for (const end of ['json', 'json.asc'])
    cpSync(join(foreign.folder, `repository/keyrings/0001.${end}`), join(dirname(keyring()), `0002.${end}`))
  const { stderr } = await workshop.coffre(['list'])
  assert.match(stderr, /warning: keyrings\/0002\.json names another root/)
  await workshop.error(['backup'], 8)
})

test('pins and keyring must agree: status 2 with the way out, either way round, and nothing is sealed', async () => {
  await untouched()
  const mallory = await makeReader('mallory')
  const recipients = workshop.config['recipients'] as unknown[]
  await workshop.configure({
    recipients: [...recipients, { file: 'mallory.asc', fingerprint: mallory.fingerprint }],
  })
  const unknown = await workshop.error(['backup'], 2)
  assert.equal(unknown.code, 'ERR_PIN')
  assert.match(
    unknown.message,
    new RegExp(`${mallory.fingerprint} is pinned in the configuration but not in the keyring`),
  )
  assert.match(unknown.hint, /recipients/)
  await workshop.configure({ recipients })

  // Signed by the root itself, say by somebody who stole it: the configuration still does not know that reader.
  edit(keyring(), (value) => {
    value['version'] = 2
    ;(value['recipients'] as Json[]).push({
      fingerprint: mallory.fingerprint,
      subkey: mallory.fingerprint,
      publicKey: mallory.publicKey,
    })
  })
  const second = join(dirname(keyring()), '0002.json')
  cpSync(keyring(), second)
  for (const end of ['json', 'json.asc'])
    cpSync(join(workshop.folder, `untouched/keyrings/0001.${end}`), join(dirname(keyring()), `0001.${end}`))
  await sign(second, await keyOf(workshop, 'root'))
  const stranger = await workshop.error(['backup'], 2)
  assert.match(stranger.message, new RegExp(`${mallory.fingerprint} is in the keyring but not pinned`))
  assert.equal((await workshop.json(['verify', '--all']))['ok'], true)
  const { backups } = (await workshop.json(['list'])) as unknown as Listed
  assert.deepEqual(
    backups.map(({ id }) => id),
    [older, newer],
  )
})
