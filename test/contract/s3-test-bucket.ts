/**
 * A bucket of the real S3 server that the tests run against. Where it is comes from the environment:
 * COFFRE_TEST_S3_ENDPOINT, COFFRE_TEST_S3_ACCESS_KEY, COFFRE_TEST_S3_SECRET_KEY and what more it says of itself
 * (servers/README.md). Without them the tests fail.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
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

/** 16 and older take `AES256` and ignore it; the newer ones of the tests have a key service and encrypt. */
export function serverEncrypts(): boolean {
  return Number(fromEnvironment('COFFRE_TEST_S3_RELEASE')) >= 17
}

/** An unrelated user of the server, and a second credential of the bucket's owner, `user/owner:append` in policies. */
export function otherCredentials(who: 'OTHER' | 'APPEND'): NonNullable<S3Settings['credentials']> {
  return {
    accessKeyId: fromEnvironment(`COFFRE_TEST_S3_${who}_ACCESS_KEY`),
    secretAccessKey: fromEnvironment(`COFFRE_TEST_S3_${who}_SECRET_KEY`),
  }
}

/** Of the server's stored pieces of objects whose key contains `key`: how many there are, how many hold `text` as it is. */
export async function piecesAtRest(key: string, text: string): Promise<{ pieces: number; holding: number }> {
  const env = { ...process.env, COFFRE_S3_DIR: fromEnvironment('COFFRE_TEST_S3_DIR') }
  const script = fromEnvironment('COFFRE_TEST_S3_SCRIPT')
  const { stdout } = await promisify(execFile)(script, ['holds', key, text], { env })
  const [, holding, pieces] = /^(\d+) of (\d+)\n$/.exec(stdout) ?? assert.fail(stdout)
  return { pieces: Number(pieces), holding: Number(holding) }
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
