/**
 * Artifacts that were damaged, exchanged or forged: `verify` names them, `restore` refuses, and nothing of them reaches a
 * server. Other backups stay as good as they were.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { chunkBytes, type Artifact } from '../../src/model/manifest.ts'
import { newSessionKey } from '../../src/openpgp/envelope.ts'
import { openArtifact } from '../../src/pipeline/open.ts'
import { sealStream } from '../../src/pipeline/seal.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'
import { holds } from '../support/property.ts'
import { replaceFolder } from '../support/repository-folder.ts'
import { GnupgHome } from '../unit/openpgp-gnupg.ts'

let database: TestDatabase
let workshop: Workshop
let older: string
let newer: string
const names = [
  'globals.sql.zst.gpg',
  'schema.dump.zst.gpg',
  'rows/0001.sql.zst.gpg',
  'large-objects.dump.zst.gpg',
  'inventory.json.zst.gpg',
] as const
type Name = (typeof names)[number]

before(async () => {
  database = await makeDatabase('tampered')
  await database.sql(`CREATE TABLE people AS SELECT n, md5(n::text) AS name FROM generate_series(1, 2000) n;
    SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex'));`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url } } })
  older = String((await workshop.json(['backup']))['id'])
  newer = String((await workshop.json(['backup']))['id'])
  await replaceFolder(join(workshop.folder, 'untouched'), join(workshop.folder, 'repository'))
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const file = (name: string, id = newer): string => join(workshop.folder, 'repository/backups/shop', id, name)
const restored = (): string => `${database.name}_restored`
const restoreWords = (id: string): readonly string[] => [
  'restore',
  id,
  '--to',
  urlOf(restored()),
  '--identity',
  workshop.identity(),
]

async function databases(): Promise<string> {
  return await sql(
    'postgres',
    `SELECT datname FROM pg_database WHERE datname LIKE '${database.name}%' ORDER BY 1`,
  )
}

interface Verified {
  readonly ok: boolean
  readonly backups: readonly {
    readonly id: string
    readonly ok: boolean
    readonly problems: readonly {
      readonly code: string
      readonly artifact: string
      readonly message: string
    }[]
  }[]
}

/** Runs `change` on an untouched repository; then `verify` must name exactly these files of the newer backup. */
async function tamper(change: () => void, named: readonly Name[]): Promise<void> {
  await replaceFolder(join(workshop.folder, 'repository'), join(workshop.folder, 'untouched'))
  change()
  const verified = (await workshop.json(['verify', older, newer], { status: 8 })) as unknown as Verified
  const [good, bad] = verified.backups
  assert.deepEqual([verified.ok, good?.ok, bad?.ok], [false, true, false])
  assert.deepEqual(bad?.problems.map(({ artifact }) => artifact).toSorted(), named.toSorted())
  for (const { code } of bad?.problems ?? []) assert.equal(code, 'ERR_DIGEST')
}

async function assertNotRestored(says: RegExp): Promise<void> {
  const { code, message } = await workshop.error(restoreWords(newer), 8)
  assert.equal(code, 'ERR_DIGEST')
  assert.match(message, says)
  assert.equal(await databases(), database.name)
}

function flipBit(path: string, byte: number, bit: number): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(byte) ^ (1 << bit), byte)
  writeFileSync(path, bytes)
}

for (const name of names) {
  test(`one flipped bit in ${name} is seen by verify${name.startsWith('globals') ? '' : ', and restore refuses'}`, async (t) => {
    const sizeBytes = readFileSync(file(name)).length
    const place = fc.record({
      byte: fc.integer({ min: 0, max: sizeBytes - 1 }),
      bit: fc.integer({ min: 0, max: 7 }),
    })
    await holds(
      t,
      fc.asyncProperty(fc.noShrink(fc.noBias(place)), async ({ byte, bit }) => {
        await tamper(() => flipBit(file(name), byte, bit), [name])
        // Restore takes roles from the inventory: a damaged globals artifact does not keep anybody from their data.
        if (!name.startsWith('globals')) await assertNotRestored(new RegExp(name))
      }),
      2,
    )
  })
}

const changes: readonly (readonly [string, readonly Name[], () => void])[] = [
  [
    'cut off by a byte',
    ['rows/0001.sql.zst.gpg'],
    () => truncateSync(file('rows/0001.sql.zst.gpg'), readFileSync(file('rows/0001.sql.zst.gpg')).length - 1),
  ],
  ['emptied', ['schema.dump.zst.gpg'], () => truncateSync(file('schema.dump.zst.gpg'))],
  [
    'made longer',
    ['rows/0001.sql.zst.gpg'],
    () => writeFileSync(file('rows/0001.sql.zst.gpg'), 'x', { flag: 'a' }),
  ],
  ['deleted', ['rows/0001.sql.zst.gpg'], () => rmSync(file('rows/0001.sql.zst.gpg'))],
  [
    'swapped with another of the same backup',
    ['schema.dump.zst.gpg', 'large-objects.dump.zst.gpg'],
    () => swap(file('schema.dump.zst.gpg'), file('large-objects.dump.zst.gpg')),
  ],
  [
    'taken from an older backup',
    ['rows/0001.sql.zst.gpg'],
    () => writeFileSync(file('rows/0001.sql.zst.gpg'), readFileSync(file('rows/0001.sql.zst.gpg', older))),
  ],
  [
    'taken from an older backup, the inventory too',
    ['inventory.json.zst.gpg'],
    () => writeFileSync(file('inventory.json.zst.gpg'), readFileSync(file('inventory.json.zst.gpg', older))),
  ],
]

function swap(one: string, other: string): void {
  renameSync(one, `${one}.away`)
  renameSync(other, one)
  renameSync(`${one}.away`, other)
}

for (const [what, named, change] of changes) {
  test(`an artifact that was ${what} is named by verify, and restore refuses`, async () => {
    await tamper(change, named)
    await assertNotRestored(new RegExp(named.join('|')))
  })
}

test("a stranger's message to the same recipient, well made and opened by gpg, is refused as it is not what was signed", async () => {
  using gnupg = Object.assign(new GnupgHome(), { [Symbol.dispose]: () => gnupg.close() })
  const [reader] = workshop.readers
  assert.ok(reader)
  gnupg.importKey(reader.secretKey)
  const forged = gnupg.succeed(
    ['--trust-model', 'always', '-z', '0', '-r', reader.fingerprint, '--encrypt'],
    'COPY "public"."people" FROM stdin;\n',
  )
  assert.match(gnupg.succeed(['--decrypt'], forged).toString(), /^COPY/)
  await tamper(() => writeFileSync(file('rows/0001.sql.zst.gpg'), forged), ['rows/0001.sql.zst.gpg'])
  await assertNotRestored(/rows\/0001/)
})

test('the other backup is still restored, and a new one is made, beside a damaged one', async () => {
  await tamper(() => flipBit(file('rows/0001.sql.zst.gpg'), 700, 0), ['rows/0001.sql.zst.gpg'])
  const result = await workshop.json(restoreWords(older))
  assert.equal(result['rows'], 2000)
  await sql('postgres', `DROP DATABASE "${restored()}"`)
  const { id } = await workshop.json(['backup'])
  assert.equal((await workshop.json(['verify', String(id)]))['ok'], true)
})

test('a damaged globals artifact does not keep anybody from their data', async () => {
  await tamper(() => flipBit(file('globals.sql.zst.gpg'), 250, 0), ['globals.sql.zst.gpg'])
  assert.equal((await workshop.json(restoreWords(newer)))['rows'], 2000)
  await sql('postgres', `DROP DATABASE "${restored()}"`)
})

test('no byte is decrypted before the 8 MiB around it were found to be what was signed', async (t) => {
  const plain = randomBytes(20 * 1024 * 1024)
  const key = { sessionKey: newSessionKey(), envelope: Buffer.alloc(100, 1) }
  const stream = sealStream([plain], key, { algorithm: 'zstd', level: 1 })
  const sealed = Buffer.concat(await Array.fromAsync(stream.artifact))
  const facts = stream.sealed()?.facts ?? assert.fail('it was not sealed')
  const artifact: Artifact = { name: 'rows/0001.sql.zst.gpg', kind: 'rows', ...facts }
  const piecesOf = async function* (bytes: Buffer): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
  }
  const open = async (bytes: Buffer): Promise<{ readonly given: Buffer; readonly failed: unknown }> => {
    const given: Buffer[] = []
    try {
      for await (const piece of openArtifact(piecesOf(bytes), artifact, {
        sessionKey: key.sessionKey,
        algorithm: 'zstd',
        plainLimitBytes: Number.MAX_SAFE_INTEGER,
      }))
        given.push(Buffer.from(piece))
      return { given: Buffer.concat(given), failed: undefined }
    } catch (failed) {
      return { given: Buffer.concat(given), failed }
    }
  }
  const whole = await open(sealed)
  assert.ok(whole.failed === undefined && whole.given.equals(plain))
  await holds(
    t,
    fc.asyncProperty(fc.integer({ min: 0, max: sealed.length - 1 }), async (at) => {
      const altered = Buffer.from(sealed)
      altered.writeUInt8(altered.readUInt8(at) ^ 1, at)
      const { given, failed } = await open(altered)
      assert.match(String(failed), /differs from what was signed/)
      // What came out is genuine, and none of it from the chunk that was altered: random bytes do not compress.
      assert.ok(given.equals(plain.subarray(0, given.length)))
      assert.ok(given.length <= Math.floor(at / chunkBytes) * chunkBytes)
    }),
    8,
  )
})
