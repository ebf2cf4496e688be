/**
 * Makes test/vectors/NAME: a repository with three backups (zstd and gzip of make-vectors.sql, and a LATIN1 database), sealed to two recipients whose keys
 * gpg made, with all its secret test keys, and the facts a reader must find again, told by stock programs. Start it by
 * scripts/make-vectors. It refuses to overwrite.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { encodeJson } from '../src/model/canonical-json.ts'
import { clientEnvironment } from '../src/postgres/client-tools.ts'
import { ScratchCluster } from '../src/postgres/scratch-cluster.ts'
import { makeWorkshop, type Reader, type Workshop } from '../test/support/coffre.ts'
import { ed25519Parameters, GnupgHome } from '../test/unit/openpgp-gnupg.ts'

const home = dirname(import.meta.dirname)
const passphrase = 'correct horse battery staple'

const rsaParameters: readonly string[] = [
  'Key-Type: RSA',
  'Key-Length: 4096',
  'Key-Usage: sign',
  'Subkey-Type: RSA',
  'Subkey-Length: 4096',
  'Subkey-Usage: encrypt',
  'Name-Real: Test Bob',
  'Name-Email: bob@example.org',
  'Expire-Date: 0',
  `Passphrase: ${passphrase}`,
]

interface Identity extends Reader {
  readonly file: string
  readonly passphrase: string
}

function makeIdentities(gnupg: GnupgHome): readonly Identity[] {
  const make = (name: string, kind: string, parameters: readonly string[], secret: string): Identity => {
    const fingerprint = gnupg.generateKey(parameters)
    const publicKey = gnupg.exportPublic(fingerprint).toString()
    const secretKey = gnupg.exportSecret(fingerprint, secret).toString()
    return {
      name,
      fingerprint,
      publicKey,
      secretKey,
      file: `keys/TEST-KEY-${name}-${kind}-secret.asc`,
      passphrase: secret,
    }
  }
  const named = ed25519Parameters.map((line) => line.replace('Ana', 'Test Alice').replace('ana@', 'alice@'))
  return [make('alice', 'ed25519', named, ''), make('bob', 'rsa4096', rsaParameters, passphrase)]
}

/** Decrypts with gpg, expands with zstd or gzip: coffre is not asked what is in its own artifacts. */
function openByStock(gnupg: GnupgHome, sealed: string): Buffer {
  const compressed = gnupg.succeed([
    '--pinentry-mode',
    'loopback',
    '--passphrase',
    passphrase,
    '--decrypt',
    sealed,
  ])
  const program = sealed.endsWith('.zst.gpg') ? 'zstd' : 'gzip'
  return execFileSync(program, ['-d', '-c'], { input: compressed, maxBuffer: 2 ** 28 })
}

function factsOf(gnupg: GnupgHome, folder: string, names: readonly string[]): Record<string, unknown> {
  const plain = names.map((name) => [name, openByStock(gnupg, join(folder, name))] as const)
  const artifacts = plain.map(([name, bytes]) => ({
    name,
    plainBytes: bytes.length,
    plainSha256: createHash('sha256').update(bytes).digest('hex'),
  }))
  const [, inventory] =
    plain.find(([name]) => name.startsWith('inventory.json.')) ?? assert.fail('no inventory')
  const { tables, sequences, largeObjects } = JSON.parse(inventory.toString()) as Record<string, unknown>
  return { artifacts, tables, sequences, largeObjects }
}

/** Leases name the machine and the process that held them: one is kept, with a made-up holder. */
function rewriteLeases(repository: string): void {
  const folder = join(repository, 'leases/odd')
  const first = JSON.parse(readFileSync(join(folder, '00000001.json'), 'utf8')) as Record<string, unknown>
  rmSync(join(repository, 'leases'), { recursive: true })
  mkdirSync(folder, { recursive: true })
  const lease = {
    ...first,
    holder: 'coffre on test-host (process 1)',
    process: null,
    expiresAt: first['acquiredAt'],
  }
  writeFileSync(join(folder, '00000001.json'), encodeJson(lease))
}

/** What somebody with the public keys alone can make: a whole message of their own, to be hidden inside an artifact. */
function forgedMessage(gnupg: GnupgHome, identities: readonly Identity[]): Buffer {
  const to = identities.flatMap(({ fingerprint }) => ['--recipient', fingerprint])
  return gnupg.succeed(
    ['--trust-model', 'always', '--compress-algo', 'none', ...to, '--encrypt'],
    'attacker text\n',
  )
}

interface MadeBackup {
  /** What damages.json calls it. */
  readonly name: string
  readonly id: string
  readonly names: readonly string[]
}

async function makeBackups(
  workshop: Workshop,
  urlOf: (database: string) => string,
): Promise<readonly MadeBackup[]> {
  const backups: MadeBackup[] = []
  const kinds = [
    ['zstd', 'odd', 'zstd'],
    ['gzip', 'odd', 'gzip'],
    ['latin1', 'latin', 'zstd'],
  ] as const
  for (const [name, database, algorithm] of kinds) {
    await workshop.configure({ sources: { odd: { url: urlOf(database) } }, compression: { algorithm } })
    const made = (await workshop.json(['backup'])) as { id: string; artifacts: { name: string }[] } & Record<
      string,
      unknown
    >
    backups.push({ name, id: made.id, names: made.artifacts.map((artifact) => artifact.name) })
  }
  assert.equal((await workshop.json(['verify', '--all']))['ok'], true)
  return backups
}

/** The two databases; the second in an encoding other than UTF-8. */
function makeDatabases(conninfo: string): void {
  const psql = (args: readonly string[]): unknown =>
    execFileSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', ...args])
  psql(['-d', conninfo, '-c', 'CREATE DATABASE odd TEMPLATE template0'])
  psql(['-d', `${conninfo} dbname=odd`, '-1', '-f', join(import.meta.dirname, 'make-vectors.sql')])
  psql(['-d', conninfo, '-c', `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`])
  const latin = `CREATE TABLE "fälle" ("größe" text); INSERT INTO "fälle" VALUES ('été'), ('ÿ\\'), (NULL)`
  psql(['-d', `${conninfo} dbname=latin client_encoding=UTF8`, '-c', latin])
}

async function main(name: string): Promise<void> {
  const vector = join(home, 'test/vectors', name)
  assert.ok(
    !existsSync(join(vector, 'repository')),
    `${vector} is there already, and vectors are never overwritten`,
  )
  const gnupg = new GnupgHome()
  const environment = clientEnvironment(process.env)
  await using postgres = await ScratchCluster.start({
    environment,
    signal: new AbortController().signal,
    settings: {},
  })
  try {
    const conninfo = `host=${postgres.folder} user=postgres`
    makeDatabases(conninfo)
    const identities = makeIdentities(gnupg)
    const urlOf = (database: string): string =>
      `postgres://postgres@/${database}?host=${encodeURIComponent(postgres.folder)}`
    const sources = { odd: { url: urlOf('odd') } }
    await using workshop = await makeWorkshop({ sources, readers: identities })
    const made = await makeBackups(workshop, urlOf)
    const repository = join(workshop.folder, 'repository')
    const backups = made.map(({ name: called, id, names }) => {
      return { name: called, id, ...factsOf(gnupg, join(repository, 'backups/odd', id), names) }
    })
    rewriteLeases(repository)
    rmSync(join(repository, '.partial'), { recursive: true, force: true })
    mkdirSync(join(vector, 'keys'), { recursive: true })
    cpSync(repository, join(vector, 'repository'), { recursive: true })
    for (const role of ['root', 'host'])
      cpSync(
        join(workshop.folder, `keys/${role}-secret.asc`),
        join(vector, `keys/TEST-KEY-${role}-secret.asc`),
      )
    for (const { file, secretKey } of identities) writeFileSync(join(vector, file), secretKey)
    writeFileSync(join(vector, 'forged-message.pgp'), forgedMessage(gnupg, identities))
    const facts = {
      note: 'all keys here are test keys: everybody knows them',
      root: (workshop.config['trust'] as { root: string }).root,
      source: 'odd',
      identities: identities.map(({ file, fingerprint, passphrase: secret }) => ({
        file,
        fingerprint,
        passphrase: secret,
      })),
      backups,
    }
    writeFileSync(join(vector, 'vector.json'), encodeJson(facts))
    console.log(`${vector} is written; look at it, then add it, and never change it again`)
  } finally {
    gnupg.close()
  }
}

const [name, ...rest] = process.argv.slice(2)
assert.ok(
  name !== undefined && /^v[0-9]+([.][0-9]+)?$/.test(name) && rest.length === 0,
  'usage: scripts/make-vectors v1',
)
await main(name)
