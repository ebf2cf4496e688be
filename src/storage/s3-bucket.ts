/** Making a bucket: only for throw-away servers (the demo). Real buckets are made with care, by those who own them. */
import { connectS3, type S3Settings } from './s3-connection.ts'

/** Throws ERR_STORE when it exists or may not be made. */
export async function createBucket(settings: S3Settings): Promise<void> {
  const s3 = await connectS3(settings)
  const command = new s3.sdk.CreateBucketCommand({ Bucket: settings.bucket })
  await s3.request('make the bucket', {}, (sending) => s3.client.send(command, sending))
}
