/** A real S3 server as the repository: from init to restore, with an artifact large enough to be uploaded in parts. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeS3TestBucket, serverEncrypts } from '../contract/s3-test-bucket.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase, sql } from '../support/postgres.ts'

test('a database goes round through an S3 bucket that encrypts as well', async () => {
  await using database = await makeDatabase('cloud')
  // Bytes that do not compress: 12 MB of them stay larger than one part.
  await database.sql(`CREATE TABLE readings (id int PRIMARY KEY, raw bytea NOT NULL);
    INSERT INTO readings SELECT n, sha512(n::text::bytea) FROM generate_series(1, 190000) n;
    SELECT lo_from_bytea(7, 'a large object')`)
  const bucket = await makeS3TestBucket()
  const keys = await mkdtemp(join(tmpdir(), 'coffre-test-keys-'))
  try {
    const { endpoint = '', credentials } = bucket.settings
    const files = { access_key_file: join(keys, 'access'), secret_key_file: join(keys, 'secret') }
    await writeFile(files.access_key_file, `${credentials?.accessKeyId}\n`, { mode: 0o600 })
    await writeFile(files.secret_key_file, `${credentials?.secretAccessKey}\n`, { mode: 0o600 })
    const s3 = {
      provider: 'ceph',
      endpoint,
      bucket: bucket.name,
      prefix: 'postgres/daily',
      ...(serverEncrypts() ? { encryption: 'sse-s3' } : { encryption: 'sse-kms', kms_key: 'testkey-1' }),
      credentials: { writer: files },
    }
    const place = ['--s3', bucket.name, '--provider', 'ceph', '--endpoint', endpoint, '--prefix', s3.prefix]
    const access = ['--access-key-file', files.access_key_file, '--secret-key-file', files.secret_key_file]
    await using workshop = await makeWorkshop({
      sources: { cloud: { url: database.url } },
      repositories: { main: { s3 } },
      initRepository: [...place, ...access],
    })
    const made = (await workshop.json(['backup'])) as {
      id: string
      artifacts: { kind: string; bytes: number }[]
    }
    assert.ok(
      made.artifacts.some(({ kind, bytes }) => kind === 'rows' && bytes > 10_000_000),
      'there is one of several parts',
    )

    const { backups } = (await workshop.json(['list'])) as { backups: { id: string }[] }
    assert.deepEqual(
      backups.map(({ id }) => id),
      [made.id],
    )
    const verified = (await workshop.json(['verify', '--all'])) as { ok: boolean; backups: unknown[] }
    assert.deepEqual([verified.ok, verified.backups.length], [true, 1])
    const restore = ['restore', made.id, '--to', database.restored.url, '--identity', workshop.identity()]
    assert.equal((await workshop.json(restore))['rows'], 190_000)
    await assertSameDatabase(database.conninfo, database.restored.conninfo)
    assert.equal(
      await sql(database.restored.name, `SELECT convert_from(lo_get(7), 'UTF8')`),
      'a large object',
    )

    assert.deepEqual(await bucket.openUploads(), [], 'no upload was left open')
    const { Contents = [] } = await bucket.client.send(new ListObjectsV2Command({ Bucket: bucket.name }))
    const outside = Contents.map(({ Key = '' }) => Key).filter((key) => !key.startsWith('postgres/daily/'))
    assert.deepEqual(outside, [], 'everything is under the prefix')
    const ours = Contents.map(({ Key = '' }) => Key).filter((key) => key.includes('/backups/'))
    assert.ok(ours.length >= 6)
    for (const Key of ours) {
      const head = await bucket.client.send(new HeadObjectCommand({ Bucket: bucket.name, Key }))
      assert.equal(head.ServerSideEncryption, serverEncrypts() ? 'AES256' : 'aws:kms', Key)
    }
  } finally {
    await bucket.close()
    await rm(keys, { recursive: true })
  }
})
