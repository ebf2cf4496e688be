/**
 * An S3 server that goes away in the middle, refuses the key, or ignores what it was asked for: a clear error, nothing
 * committed, and when all is well again the next run works. Before the real server stands a proxy that cuts.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { makeS3TestBucket, type S3TestBucket } from '../contract/s3-test-bucket.ts'
import { startFaultyProxy, type FaultyProxy } from '../integration/faulty-proxy.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'

let bucket: S3TestBucket
let proxy: FaultyProxy
let database: TestDatabase
let workshop: Workshop
let keys: string

before(async () => {
  bucket = await makeS3TestBucket()
  proxy = await startFaultyProxy(bucket.settings.endpoint ?? '')
  database = await makeDatabase('lost')
  await database.sql('CREATE TABLE a AS SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) n')
  keys = await mkdtemp(join(tmpdir(), 'coffre-test-keys-'))
  const { credentials } = bucket.settings
  await writeFile(join(keys, 'access'), `${credentials?.accessKeyId}\n`, { mode: 0o600 })
  await writeFile(join(keys, 'secret'), `${credentials?.secretAccessKey}\n`, { mode: 0o600 })
  const place = ['--s3', bucket.name, '--provider', 'ceph', '--endpoint', proxy.endpoint]
  const access = ['--access-key-file', join(keys, 'access'), '--secret-key-file', join(keys, 'secret')]
  workshop = await makeWorkshop({
    sources: { shop: { url: database.url, jobs: 2 } },
    repositories: { main: { s3: settings() } },
    initRepository: [...place, ...access],
  })
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await proxy.close()
  await bucket.close()
  await rm(keys, { recursive: true })
})
afterEach(async () => {
  proxy.decide = () => undefined
  await use({})
})

const settings = (): Record<string, unknown> => ({
  provider: 'ceph',
  endpoint: proxy.endpoint,
  bucket: bucket.name,
  credentials: { writer: { access_key_file: join(keys, 'access'), secret_key_file: join(keys, 'secret') } },
})
const use = (changes: Record<string, unknown>): Promise<void> =>
  workshop.configure({ repositories: { main: { s3: { ...settings(), ...changes } } } })

async function stored(): Promise<readonly string[]> {
  const { Contents = [] } = await bucket.client.send(new ListObjectsV2Command({ Bucket: bucket.name }))
  return Contents.map(({ Key }) => Key ?? '')
}
const withoutLeases = (all: readonly string[]): readonly string[] =>
  all.filter((key) => !key.startsWith('leases/'))

async function assertNextRunWorks(): Promise<void> {
  const { id } = await workshop.json(['backup'])
  assert.equal((await workshop.json(['verify', String(id)]))['ok'], true)
}

test('a server that goes away while rows are stored fails the backup; when it is back the next run works', async () => {
  const before = await stored()
  let gone = false
  proxy.decide = (request) => {
    gone ||= request.method === 'PUT' && /\/rows\//.test(request.url ?? '')
    return gone ? { kind: 'cut-request', afterBytes: 0 } : undefined
  }
  const began = performance.now()
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_STORE')
  assert.match(
    message,
    /^cannot (put|look at) backups\/shop\/.* in s3:\/\/\S+: the connection was (cut|refused)/,
  )
  assert.match(hint, /check the repository section/)
  assert.ok(performance.now() - began < 60_000)
  // Without the server nothing could be removed: what is there are artifacts that no manifest names.
  const more = (await stored()).filter((key) => !before.includes(key))
  assert.deepEqual(
    more.filter((key) => !/^leases\/|^backups\/.*\.gpg$/.test(key)),
    [],
  )
  proxy.decide = () => undefined
  assert.deepEqual(await workshop.json(['list']), { backups: [] })
  // The killed connection also kept the lease from being released: nobody waits for it.
  await assertNextRunWorks()
})

test('a server that refuses one object fails the backup, and what was stored is removed again', async () => {
  const before = withoutLeases(await stored())
  const body = '<Error><Code>AccessDenied</Code><Message>no</Message></Error>'
  proxy.decide = (request) =>
    request.method === 'PUT' && /inventory/.test(request.url ?? '')
      ? { kind: 'answer', status: 403, body }
      : undefined
  const { code, message } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_STORE_DENIED')
  assert.match(message, /inventory/)
  assert.deepEqual(withoutLeases(await stored()), before)
})

test('a manifest whose fate is unknown is looked for: no backup is lost, none is invented', async () => {
  let lost = 0
  proxy.decide = (request) => {
    const commits = request.method === 'PUT' && /manifest\.json(\?|$)/.test(request.url ?? '')
    if (commits) lost += 1
    return commits && lost === 1 ? { kind: 'lose-answer' } : undefined
  }
  const { id } = await workshop.json(['backup'])
  assert.equal(lost, 2)
  proxy.decide = () => undefined
  assert.equal((await workshop.json(['verify', String(id)]))['ok'], true)
})

test('a wrong secret key is status 1, says which of the two to check, and is shown nowhere', async () => {
  const before = await stored()
  const wrong = randomBytes(20).toString('hex')
  await writeFile(join(keys, 'wrong'), wrong, { mode: 0o600 })
  await use({
    credentials: { writer: { access_key_file: join(keys, 'access'), secret_key_file: join(keys, 'wrong') } },
  })
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_STORE_DENIED')
  assert.match(hint, /secret key does not belong to the access key|credentials/)
  const told = await workshop.coffre(['backup', '--verbose'], { status: 1 })
  for (const text of [message, hint, told.stderr, told.stdout]) assert.ok(!text.includes(wrong))
  assert.deepEqual(await stored(), before)
})

test('a missing bucket is status 1 and named', async () => {
  await use({ bucket: 'nobody-made-this-one' })
  const { code, message } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_STORE')
  assert.match(message, /nobody-made-this-one/)
})

test('encryption that is asked for and silently ignored fails the backup, and nothing is committed', async () => {
  // Ceph 16 answers 200 to x-amz-server-side-encryption: AES256 and stores the object as it is; for a newer one, lie.
  proxy.decide = (request) =>
    request.method === 'HEAD' ? { kind: 'change-header', header: 'x-amz-server-side-encryption' } : undefined
  const before = await stored()
  await use({ encryption: 'sse-s3' })
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_NOT_STORED')
  assert.match(message, /the store did not encrypt it \(AES256 was asked for\); it was removed/)
  assert.match(hint, /nothing was committed/)
  assert.deepEqual(await stored(), before)
})

test('a store that cannot be read says nothing of the backups: verify is status 1, not 8', async () => {
  const { id } = await workshop.json(['backup'])
  proxy.decide = (request) =>
    request.method === 'GET' && /schema\.dump/.test(request.url ?? '')
      ? { kind: 'answer', status: 403, body: '' }
      : undefined
  const { ok, backups } = (await workshop.json(['verify', String(id)], { status: 1 })) as {
    ok: boolean
    backups: { problems: { code: string; artifact: string }[] }[]
  }
  assert.equal(ok, false)
  assert.deepEqual(
    backups[0]?.problems.map(({ code, artifact }) => `${code} ${artifact}`),
    ['ERR_STORE_DENIED schema.dump.zst.gpg'],
  )
})
