/**
 * A key made by `keys create` is a backup's only recipient; two of three shares open the backup, and gpg takes every file
 * of it: the public key, the sealed one, the revocation certificate.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { home, makeWorkshop, runCoffre } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'
import { GnupgHome } from '../unit/openpgp-gnupg.ts'

interface Made {
  readonly fingerprint: string
  readonly folder: string
  readonly key: string
  readonly publicKey: string
  readonly revocation: string
  readonly shares: readonly string[]
}

async function create(cwd: string, more: readonly string[] = []): Promise<Made> {
  const person = ['--name', 'Koprogo', '--email', 'ops@koprogo.example']
  const ran = await runCoffre(['keys', 'create', ...person, '--to', 'kits', '--json', ...more], { cwd })
  assert.equal(ran.status, 0, ran.stderr)
  return JSON.parse(ran.stdout) as Made
}

function workFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'coffre-create-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** The fields of gpg's line for the primary key (GnuPG, doc/DETAILS). */
function primaryOf(gnupg: GnupgHome, fingerprint: string): readonly string[] {
  const lines = gnupg.succeed(['--with-colons', '--list-keys', fingerprint]).toString().split('\n')
  return lines.find((line) => line.startsWith('pub:'))?.split(':') ?? []
}

test('a backup sealed to a created key alone opens with two of its three shares', async () => {
  using work = workFolder()
  const made = await create(work.path)
  const read = (name: string): string => readFileSync(join(made.folder, name), 'utf8')
  await using database = await makeDatabase('create')
  await database.sql('CREATE TABLE kept AS SELECT generate_series(1, 321) AS n')
  await using workshop = await makeWorkshop({
    sources: { create: { url: database.url } },
    readers: [
      {
        name: 'all',
        fingerprint: made.fingerprint,
        publicKey: read(made.publicKey),
        secretKey: read(made.key),
      },
    ],
  })
  await workshop.coffre(['backup'])
  const coffre = join(home, 'bin/coffre')
  const [one, , three] = made.shares.map((name) => join(made.folder, name))
  const line = `set -o pipefail; cat '${three}' '${one}' | '${coffre}' keys combine |
    '${coffre}' show latest --inventory --json --identity '${workshop.identity()}' --passphrase-file /dev/stdin`
  const shown = spawnSync('bash', ['-c', line], { cwd: workshop.folder })
  assert.equal(shown.status, 0, shown.stderr.toString())
  const { inventory } = JSON.parse(shown.stdout.toString()) as { inventory: { tables: { rows: number }[] } }
  assert.deepEqual(
    inventory.tables.map(({ rows }) => rows),
    [321],
  )
  const closed = await workshop.error(['show', 'latest', '--inventory', '--identity', workshop.identity()], 7)
  assert.match(closed.message, /protected by a passphrase/)
})

test('gpg imports what was made, sees 13 months of validity, and the revocation certificate revokes it', async () => {
  using work = workFolder()
  const before = Math.floor(Date.now() / 1000)
  const made = await create(work.path)
  assert.deepEqual(
    readdirSync(made.folder).toSorted(),
    [made.key, made.publicKey, made.revocation, ...made.shares].toSorted(),
  )
  for (const name of readdirSync(made.folder))
    assert.equal(statSync(join(made.folder, name)).mode & 0o777, 0o600)
  const gnupg = new GnupgHome()
  try {
    gnupg.importKey(readFileSync(join(made.folder, made.key)))
    const [, , , algorithm, , created, expires] = primaryOf(gnupg, made.fingerprint)
    assert.equal(algorithm, '22')
    assert.ok(Number(created) >= before - 60)
    assert.equal(Number(expires) - Number(created), 396 * 86_400)
    gnupg.importKey(readFileSync(join(made.folder, made.revocation)))
    assert.equal(primaryOf(gnupg, made.fingerprint)[1], 'r')
  } finally {
    gnupg.close()
  }
})

test('--rsa makes RSA with 4096 bits, --valid another length of time, and 1 of 2 is refused', async () => {
  using work = workFolder()
  const made = await create(work.path, ['--rsa', '--valid', '30d', '--threshold', '3', '--shares', '4'])
  assert.equal(made.shares.length, 4)
  const gnupg = new GnupgHome()
  try {
    gnupg.importKey(readFileSync(join(made.folder, made.publicKey)))
    const fields = primaryOf(gnupg, made.fingerprint)
    assert.deepEqual([fields[2], fields[3]], ['4096', '1'])
    assert.equal(Number(fields[6]) - Number(fields[5]), 30 * 86_400)
  } finally {
    gnupg.close()
  }
  const lone = [
    '--name',
    'x',
    '--email',
    'x@example.org',
    '--to',
    'lone',
    '--threshold',
    '1',
    '--shares',
    '2',
  ]
  const refused = await runCoffre(['keys', 'create', ...lone], { cwd: work.path })
  assert.equal(refused.status, 2)
  assert.match(refused.stderr, /cannot be split so that 1 of 2 open it/)
})
