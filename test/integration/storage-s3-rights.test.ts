/** Credentials that may not do everything, on a real server's bucket policies: what still works, and what says what. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { CoffreError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/storage/object-store.ts'
import { openS3Store } from '../../src/storage/s3.ts'
import { bytesOf, chunked, coded, collect, keysOf, mebibyte } from '../contract/contract-materials.ts'
import { makeS3TestBucket, otherCredentials, type S3TestBucket } from '../contract/s3-test-bucket.ts'

const large = bytesOf(6 * mebibyte)

let bucket: S3TestBucket
let owner: ObjectStore

before(async () => {
  bucket = await makeS3TestBucket()
  owner = await openS3Store(bucket.settings)
})
after(() => bucket.close())

/** The second credential of the bucket's owner, with some rights taken away. */
async function withoutRights(...denied: readonly string[]): Promise<ObjectStore> {
  const arn = `arn:aws:s3:::${bucket.name}`
  const statement = {
    Effect: 'Deny',
    Principal: { AWS: ['arn:aws:iam:::user/owner:append'] },
    Action: denied,
    Resource: [arn, `${arn}/*`],
  }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
  await bucket.client.send(new PutBucketPolicyCommand({ Bucket: bucket.name, Policy }))
  return await openS3Store({ ...bucket.settings, credentials: otherCredentials('APPEND') })
}

function needing(right: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CoffreError)
    assert.match(error.hint, right)
    return coded('ERR_STORE_DENIED', /access denied/)(error)
  }
}

test('a writer that may not delete stores, reads and lists; only its removals are refused, by name', async () => {
  const writer = await withoutRights('s3:DeleteObject', 's3:DeleteObjectVersion')
  await writer.put('append/large', chunked(large))
  await writer.create('append/manifest', Buffer.from('x'))
  await assert.rejects(writer.create('append/manifest', Buffer.from('y')), coded('ERR_EXISTS'))
  assert.deepEqual(await collect(writer.get('append/large')), large)
  assert.deepEqual(await keysOf(writer, 'append/'), ['append/large', 'append/manifest'])
  await assert.rejects(writer.delete('append/large'), needing(/s3:DeleteObject/))
  assert.equal((await owner.head('append/large'))?.sizeBytes, large.length)
})

test('a writer that may not delete still gives its unfinished uploads back', async () => {
  const writer = await withoutRights('s3:DeleteObject', 's3:DeleteObjectVersion')
  async function* breaking(): AsyncGenerator<Buffer> {
    yield large
    throw new CoffreError('ERR_POSTGRES', 'the source broke')
  }
  await assert.rejects(writer.put('broken', breaking()), coded('ERR_POSTGRES'))
  assert.deepEqual(await bucket.openUploads('broken'), [])
  assert.equal(await owner.head('broken'), undefined)
})

test('a writer that may not read cannot see what it stored: nothing counts, and the missing right is named', async () => {
  const writer = await withoutRights('s3:GetObject')
  await assert.rejects(writer.create('blind', Buffer.from('x')), needing(/s3:GetObject and s3:ListBucket/))
  await assert.rejects(collect(writer.get('blind')), needing(/s3:GetObject/))
})

test('a credential that may not write or list is told which right it lacks', async () => {
  const reader = await withoutRights('s3:PutObject', 's3:ListBucket')
  await assert.rejects(reader.put('none', chunked(Buffer.from('x'))), needing(/s3:PutObject/))
  await assert.rejects(keysOf(reader), needing(/s3:ListBucket/))
})
