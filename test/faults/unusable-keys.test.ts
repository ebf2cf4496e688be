/** Keys that ran out or were revoked, and sources that are not there, told to whoever runs coffre; keys are gpg's own. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { makeWorkshop, runCoffre, type Reader, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { manifestsIn } from '../support/repository-folder.ts'
import { ed25519Parameters, GnupgHome } from '../unit/openpgp-gnupg.ts'

let database: TestDatabase
let gnupg: GnupgHome
before(async () => {
  gnupg = new GnupgHome()
  database = await makeDatabase('unusable_keys')
  await database.sql('CREATE TABLE t AS SELECT generate_series(1, 100) AS n')
})
after(async () => {
  gnupg.close()
  await database[Symbol.asyncDispose]()
})

function makeKey(name: string, lifetime: string): Reader {
  const fingerprint = gnupg.generateKey([
    ...ed25519Parameters.filter((line) => !/^(Name|Expire)/.test(line)),
    `Name-Real: ${name}`,
    `Expire-Date: ${lifetime}`,
  ])
  return {
    name,
    fingerprint,
    publicKey: gnupg.exportPublic(fingerprint).toString(),
    secretKey: gnupg.exportSecret(fingerprint).toString(),
  }
}

function revoke(fingerprint: string): Buffer {
  const certificate = readFileSync(join(gnupg.path, 'openpgp-revocs.d', `${fingerprint}.rev`), 'utf8')
  gnupg.importKey(certificate.replace(/^:(?=-----BEGIN)/m, ''))
  return gnupg.exportPublic(fingerprint)
}

async function backupCount(workshop: Workshop): Promise<number> {
  return (await manifestsIn(join(workshop.folder, 'repository'))).length
}

const shop = (): Workshop['config'] => ({ shop: { url: database.url, jobs: 1 } })

test('a recipient that expired since: backups go on with a warning and status 3, or are refused where that was chosen', async () => {
  const lifetimeSeconds = 20
  const made = Date.now()
  await using workshop = await makeWorkshop({
    sources: shop(),
    readers: [makeKey('brief', `seconds=${lifetimeSeconds}`)],
  })
  await pause(Math.max(0, made + (lifetimeSeconds + 1) * 1000 - Date.now()))
  const late = await workshop.coffre(['backup'], { status: 3 })
  const fingerprint = workshop.readers[0]?.fingerprint ?? ''
  assert.match(late.stderr, new RegExp(`warning: the recipient ${fingerprint} expired on`))
  assert.equal(await backupCount(workshop), 1)
  // Whoever holds the secret key can still read what was sealed to it.
  await workshop.coffre([
    'restore',
    'latest',
    '--to',
    database.restored.url,
    '--identity',
    workshop.identity(),
  ])
  await workshop.configure({ keys: { on_expired: 'refuse' } })
  const refused = await workshop.error(['backup'], 2)
  assert.equal(refused.code, 'ERR_KEY')
  assert.match(refused.message, new RegExp(`${fingerprint} expired on`))
  assert.equal(await backupCount(workshop), 1)
})

test('init takes no recipient that is revoked or has expired', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coffre-test-'))
  try {
    const revoked = makeKey('revoked', '1y')
    writeFileSync(join(folder, 'revoked.asc'), revoke(revoked.fingerprint))
    const brief = makeKey('brief', 'seconds=1')
    writeFileSync(join(folder, 'expired.asc'), brief.publicKey)
    await pause(1500)
    for (const [file, why] of [
      ['revoked.asc', `${revoked.fingerprint} is revoked`],
      ['expired.asc', `${brief.fingerprint} expired on`],
    ] as const) {
      const access = ['--source', 'shop', '--url', database.url, '--directory', join(folder, 'repository')]
      const init = await runCoffre(['init', '--yes', ...access, '--recipient', file], { cwd: folder })
      assert.equal(init.status, 2, init.stderr)
      assert.match(init.stderr, new RegExp(why))
      assert.deepEqual(readdirSync(folder).toSorted(), ['expired.asc', 'revoked.asc'])
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a database that is not there is status 1 and named, and nothing is made', async () => {
  await using workshop = await makeWorkshop({ sources: shop() })
  const nowhere = `${database.name}_nowhere`
  await workshop.configure({ sources: { shop: { url: database.url.replace(database.name, nowhere) } } })
  const refused = await workshop.error(['backup'], 1)
  assert.equal(refused.code, 'ERR_CONNECT')
  assert.match(refused.message, new RegExp(`database "${nowhere}" does not exist`))
  assert.equal(await backupCount(workshop), 0)
})
