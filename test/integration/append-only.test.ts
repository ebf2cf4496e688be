/**
 * The writer's credential under the policy that the project hands out, on a real S3 server: backups go on, and whoever
 * steals it takes nothing away and changes nothing of the bucket.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { openS3Store } from '../../src/storage/s3.ts'
import { coded } from '../contract/contract-materials.ts'
import { makeS3TestBucket, otherCredentials } from '../contract/s3-test-bucket.ts'
import { home, makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'

async function policy(values: Readonly<Record<string, string>>): Promise<string> {
  const file = join(home, 'infrastructure/policies/ceph/bucket-policy.json.tftpl')
  return (await readFile(file, 'utf8')).replaceAll(
    /\$\{(\w+)\}/g,
    (_, name: string) => values[name] ?? assert.fail(name),
  )
}

test('with the writer’s credential backups go on, and nothing is deleted, hidden or changed', async () => {
  await using database = await makeDatabase('append')
  await database.sql('create table t (n int); insert into t select generate_series(1, 1000)')
  const bucket = await makeS3TestBucket()
  const { endpoint = '', region, credentials: owners } = bucket.settings
  const writers = otherCredentials('APPEND')
  const client = new s3.S3Client({ endpoint, region, credentials: writers, forcePathStyle: true })
  const Bucket = bucket.name
  try {
    assert.ok(owners)
    await bucket.client.send(
      new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    )
    const repository = { provider: 'ceph', endpoint, bucket: Bucket, prefix: 'pg' }
    await using workshop = await makeWorkshop({
      sources: { app: { url: database.url } },
      initRepository: ['--s3', Bucket, '--provider', 'ceph', '--endpoint', endpoint, '--prefix', 'pg'],
      repositories: { main: { s3: repository } },
      env: { AWS_ACCESS_KEY_ID: owners.accessKeyId, AWS_SECRET_ACCESS_KEY: owners.secretAccessKey },
    })
    const Policy = await policy({
      bucket: Bucket,
      prefix: 'pg/',
      writer: 'arn:aws:iam:::user/owner:append',
      driller: 'arn:aws:iam:::user/driller',
      pruner: 'arn:aws:iam:::user/pruner',
      reader: 'arn:aws:iam:::user/reader',
    })
    await bucket.client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }))
    await writeFile(join(workshop.folder, 'access'), writers.accessKeyId, { mode: 0o600 })
    await writeFile(join(workshop.folder, 'secret'), writers.secretAccessKey, { mode: 0o600 })
    const writer = { access_key_file: 'access', secret_key_file: 'secret' }
    await workshop.configure({ repositories: { main: { s3: { ...repository, credentials: { writer } } } } })

    const made = await workshop.json(['backup'])
    const Key = `pg/backups/app/${String(made['id'])}/manifest.json`
    const { VersionId } = await bucket.client.send(new s3.HeadObjectCommand({ Bucket, Key }))
    const attempts = {
      'a delete marker': new s3.DeleteObjectCommand({ Bucket, Key }),
      'the deletion of a version': new s3.DeleteObjectCommand({ Bucket, Key, VersionId }),
      'a lifecycle that expires': new s3.PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: {
          Rules: [{ ID: 'x', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 1 } }],
        },
      }),
      'another policy': new s3.PutBucketPolicyCommand({
        Bucket,
        Policy: '{"Version":"2012-10-17","Statement":[]}',
      }),
      'no policy': new s3.DeleteBucketPolicyCommand({ Bucket }),
      'no versions': new s3.PutBucketVersioningCommand({
        Bucket,
        VersioningConfiguration: { Status: 'Suspended' },
      }),
      'an ACL': new s3.PutObjectAclCommand({ Bucket, Key, ACL: 'public-read' }),
      'a bucket ACL': new s3.PutBucketAclCommand({ Bucket, ACL: 'public-read' }),
      'a tag': new s3.PutObjectTaggingCommand({
        Bucket,
        Key,
        Tagging: { TagSet: [{ Key: 'a', Value: 'b' }] },
      }),
      'a lock configuration': new s3.PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' },
      }),
      'a retention': new s3.PutObjectRetentionCommand({
        Bucket,
        Key,
        Retention: { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + 86_400_000) },
      }),
      'the deletion of the bucket': new s3.DeleteBucketCommand({ Bucket }),
    }
    for (const [what, command] of Object.entries(attempts)) {
      const error = await client.send(command as s3.HeadBucketCommand).then(
        () => undefined,
        (thrown: unknown) => thrown as s3.S3ServiceException,
      )
      assert.ok(error, `${what} was not refused`)
      assert.ok(error.$metadata.httpStatusCode === 403, `${what}: ${error.message}`)
    }
    const store = await openS3Store({ ...bucket.settings, prefix: 'pg', credentials: writers })
    await assert.rejects(store.create(Key.slice(3), Buffer.from('x')), coded('ERR_EXISTS'))
    // A plain PUT cannot be refused there: the version that was signed stays.
    await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'x' }))
    const kept = await bucket.client.send(new s3.GetObjectCommand({ Bucket, Key, VersionId }))
    assert.match((await kept.Body?.transformToString()) ?? '', /coffre-manifest/)
    await bucket.client
      .send(new s3.DeleteObjectCommand({ Bucket, Key, VersionId: 'null' }))
      .catch(() => undefined)
    await workshop.coffre(['backup'], { status: 3 })
  } finally {
    await bucket.client.send(new s3.DeleteBucketPolicyCommand({ Bucket })).catch(() => undefined)
    client.destroy()
    bucket.client.destroy()
  }
})
