/**
 * A bucket of the real S3 server that the tests run against. Where it is comes from the environment:
 * COFFRE_TEST_S3_ENDPOINT, COFFRE_TEST_S3_ACCESS_KEY, COFFRE_TEST_S3_SECRET_KEY. Without them the tests fail.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3'
import type { S3Settings } from '../../src/storage/s3.ts'

export interface S3TestBucket {
  readonly name: string
  /** Of the server itself, for what the port does not offer. */
  readonly client: S3Client
  /** For a store in this bucket. */
  readonly settings: S3Settings
  /** Keys of the multipart uploads that are open below a prefix. */
  openUploads(prefix?: string): Promise<readonly string[]>
  close(): Promise<void>
}

function fromEnvironment(name: string): string {
  const value = process.env[name]
  assert.ok(value, `${name} is not set: start the S3 server of the tests first`)
  return value
}

/** Makes an empty bucket of its own. */
export async function makeS3TestBucket(): Promise<S3TestBucket> {
  const settings: S3Settings = {
    provider: 'ceph',
    endpoint: fromEnvironment('COFFRE_TEST_S3_ENDPOINT'),
    region: 'us-east-1',
    bucket: `coffre-${randomUUID()}`,
    prefix: '',
    encryption: 'none',
    kmsKey: undefined,
    credentials: {
      accessKeyId: fromEnvironment('COFFRE_TEST_S3_ACCESS_KEY'),
      secretAccessKey: fromEnvironment('COFFRE_TEST_S3_SECRET_KEY'),
    },
    partSizeBytes: 5 * 1024 * 1024,
  }
  const { endpoint = '', region, credentials, bucket } = settings
  assert.ok(credentials)
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return {
    name: bucket,
    client,
    settings,
    openUploads: async (prefix = '') => {
      const { Uploads = [] } = await client.send(
        new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }),
      )
      return Uploads.map((upload) => upload.Key ?? '?')
    },
    close: async () => {
      for (;;) {
        const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
        if (Contents.length === 0) break
        await Promise.all(
          Contents.map(({ Key }) => client.send(new DeleteObjectCommand({ Bucket: bucket, Key }))),
        )
      }
      await client.send(new DeleteBucketCommand({ Bucket: bucket }))
      client.destroy()
    },
  }
}
