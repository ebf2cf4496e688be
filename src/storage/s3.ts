/**
 * The object store in an S3 bucket, whoever runs it: what a provider does differently is in `provider-profiles.ts`.
 * Writing is in `s3-upload.ts`, reading in `s3-download.ts`; here are the port's methods and the short requests.
 * It never makes a bucket, and sets no locks, policies or lifecycle rules.
 */
import { CoffreError } from '../errors.ts'
import {
  assertFolder,
  assertKey,
  type ByteRange,
  isKey,
  type ObjectHead,
  type ObjectStore,
  type StoredObject,
  type StoreOptions,
} from './object-store.ts'
import { connectS3, type S3Connection, type S3Settings } from './s3-connection.ts'
import { download } from './s3-download.ts'
import { abortUploadsBefore } from './s3-multipart.ts'
import { createObject, putObject } from './s3-upload.ts'

export type { S3Settings } from './s3-connection.ts'

/** Loads the SDK and prepares a client; asks the server nothing yet. ERR_CONFIG for what the provider lacks. */
export async function openS3Store(settings: S3Settings): Promise<S3Store> {
  return new S3Store(await connectS3(settings))
}

export class S3Store implements ObjectStore {
  readonly description: string
  readonly #s3: S3Connection

  constructor(s3: S3Connection) {
    this.#s3 = s3
    this.description = s3.description
  }

  async put(
    key: string,
    body: AsyncIterable<Buffer>,
    options: StoreOptions = {},
  ): Promise<{ sizeBytes: number }> {
    assertKey(key)
    return { sizeBytes: await putObject(this.#s3, key, body, options.signal) }
  }

  async create(key: string, bytes: Buffer, options: StoreOptions = {}): Promise<void> {
    assertKey(key)
    await createObject(this.#s3, key, bytes, options.signal)
  }

  async *get(
    key: string,
    options: StoreOptions & { range?: ByteRange | undefined } = {},
  ): AsyncGenerator<Buffer> {
    assertKey(key)
    yield* download(this.#s3, key, options)
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectHead | undefined> {
    assertKey(key)
    const head = await this.#s3.head(key, options.signal)
    if (head === undefined) return undefined
    if (head.ContentLength === undefined) {
      throw new CoffreError('ERR_STORE', `cannot look at ${key} in ${this.description}: it has no size`)
    }
    return { key, sizeBytes: head.ContentLength, encryption: encryptionOf(head.ServerSideEncryption) }
  }

  async *list(folder: string, options: StoreOptions = {}): AsyncGenerator<StoredObject> {
    assertFolder(folder)
    const s3 = this.#s3
    const asking = { signal: options.signal, right: 's3:ListBucket' }
    let last = ''
    let token: string | undefined
    do {
      const command = new s3.sdk.ListObjectsV2Command({
        Bucket: s3.bucket,
        Prefix: s3.prefix + folder,
        // Somebody else's key may hold characters that XML cannot.
        EncodingType: 'url',
        ...(token === undefined ? {} : { ContinuationToken: token }),
      })
      const page = await s3.request(`list ${folder}`, asking, (sending) => s3.client.send(command, sending))
      for (const { Key: encoded, Size: sizeBytes } of page.Contents ?? []) {
        const key = ownKey(encoded, s3.prefix)
        if (key === undefined || sizeBytes === undefined) continue
        // Also what a page that comes twice would look like.
        if (key <= last) throw this.#badList(folder, `${key} comes after ${last}`)
        last = key
        yield { key, sizeBytes }
      }
      if (token !== undefined && token === page.NextContinuationToken) {
        throw this.#badList(folder, 'the same page is to come again')
      }
      token = page.NextContinuationToken
      if (page.IsTruncated === true && token === undefined) throw this.#badList(folder, 'the list breaks off')
    } while (token !== undefined)
  }

  async delete(key: string, options: StoreOptions = {}): Promise<void> {
    assertKey(key)
    await this.#s3.delete(key, options.signal)
  }

  async sweepUnfinished(before: Date, options: StoreOptions = {}): Promise<number> {
    return await abortUploadsBefore(this.#s3, before, options.signal)
  }

  #badList(folder: string, what: string): CoffreError {
    return new CoffreError('ERR_STORE', `cannot list ${folder} in ${this.description}: ${what}`)
  }
}

/** The key below the prefix; undefined for what coffre cannot have written. */
function ownKey(encoded: string | undefined, prefix: string): string | undefined {
  let name: string
  try {
    name = decodeURIComponent((encoded ?? '').replaceAll('+', ' '))
  } catch {
    return undefined
  }
  const key = name.slice(prefix.length)
  return name.startsWith(prefix) && isKey(key) ? key : undefined
}

/** `aws:kms:dsse` is KMS twice over. */
function encryptionOf(header: string | undefined): ObjectHead['encryption'] {
  if (header === 'AES256') return header
  return header?.startsWith('aws:kms') === true ? 'aws:kms' : undefined
}
