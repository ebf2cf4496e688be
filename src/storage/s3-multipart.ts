/**
 * One multipart upload: parts in flight, a bounded number of them, until it is completed or aborted.
 * The SDK's own uploader is not used: it cannot send Content-MD5 with each part, which Object Lock asks for and which
 * catches damage on the way, and its parts do not grow. Whether the object is what it should be is looked at
 * afterwards, by `s3-upload.ts`. An upload that was begun is given back on every failing path, also where the answer that
 * would have named it was lost; only a killed process leaves one, for the bucket's lifecycle rule.
 */
import { createHash } from 'node:crypto'
import type { ListMultipartUploadsCommandOutput } from '@aws-sdk/client-s3'
import { CoffreError } from '../errors.ts'
import { throwIfInterrupted } from './interruptible.ts'
import type { S3Connection } from './s3-connection.ts'
import { assertPartNumber } from './s3-parts.ts'

/** Aborting is tidying up: it must not hold up the error that led to it for long. */
const abortTimeoutMs = 15_000

/** A store may work at putting the parts together for minutes ("CompleteMultipartUpload", AWS). */
const completionPatience = 5

interface CompletedPart {
  readonly PartNumber: number
  readonly ETag: string
}

/** Where S3 has a key of its own: uploads are told apart by it. */
interface Upload {
  readonly s3: S3Connection
  readonly key: string
  readonly id: string
}

export class MultipartUpload {
  readonly #upload: Upload
  readonly #inFlight = new Set<Promise<void>>()
  readonly #completed: CompletedPart[] = []
  readonly #md5s: Buffer[] = []
  readonly #signal: AbortSignal
  /** Ends the parts in flight: on the put's signal, on the first failure, on abort. */
  readonly #stop = new AbortController()
  #parts = 0
  #failure: CoffreError | undefined
  readonly #onFailure: (error: CoffreError) => void

  /** `onFailure` is called when a part fails for good, so that nobody waits for a source in vain. */
  private constructor(upload: Upload, signal: AbortSignal, onFailure: (error: CoffreError) => void) {
    this.#upload = upload
    this.#signal = signal
    this.#onFailure = onFailure
    signal.addEventListener('abort', () => this.#stop.abort(), { once: true })
  }

  /** `key` is this attempt's alone: any other upload for it is one that this call began and lost. */
  static async begin(
    s3: S3Connection,
    key: string,
    metadata: Record<string, string>,
    signal: AbortSignal,
    onFailure: (error: CoffreError) => void,
  ): Promise<MultipartUpload> {
    const command = new s3.sdk.CreateMultipartUploadCommand({
      ...s3.keyOf(key),
      ...s3.encryptionHeaders(),
      Metadata: metadata,
    })
    let attempts = 0
    let id: string | undefined
    try {
      const options = { signal, right: writeRight(s3) }
      const answer = await s3.request(`put ${key}`, options, (sending) => {
        attempts += 1
        return s3.client.send(command, sending)
      })
      id = answer.UploadId
      if (id === undefined) throw unusable(s3, key, 'it began no upload')
    } finally {
      if (attempts > 1 || (attempts === 1 && id === undefined)) await abortLost(s3, key, id)
    }
    return new MultipartUpload({ s3, key, id }, signal, onFailure)
  }

  /**
   * The ETag that S3 gives an object made of these parts, where it is made of MD5: the digest of the parts' digests, and
   * their number.
   */
  get md5Etag(): string {
    const digest = createHash('md5').update(Buffer.concat(this.#md5s)).digest('hex')
    return `${digest}-${this.#parts}`
  }

  /** Resolves once there is room for another part, which is what holds the source back. */
  async add(bytes: Buffer): Promise<void> {
    const { s3, key } = this.#upload
    while (this.#inFlight.size >= s3.concurrency) await Promise.race(this.#inFlight)
    await s3.uploadLimit?.turn(bytes.length, this.#signal)
    this.#throwFailure()
    this.#parts += 1
    assertPartNumber(this.#parts, key, s3.profile)
    const md5 = createHash('md5').update(bytes).digest()
    this.#md5s.push(md5)
    const part: Promise<void> = this.#send(this.#parts, bytes, md5).finally(() => this.#inFlight.delete(part))
    this.#inFlight.add(part)
  }

  /** Resolves when the store says that the object is whole. */
  async complete(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#throwFailure()
    const { s3, key, id } = this.#upload
    const command = new s3.sdk.CompleteMultipartUploadCommand({
      ...s3.keyOf(key),
      UploadId: id,
      MultipartUpload: { Parts: this.#completed.toSorted((a, b) => a.PartNumber - b.PartNumber) },
    })
    const options = { signal: this.#signal, patience: completionPatience, right: writeRight(s3) }
    const answer = await s3.request(`put ${key}`, options, (sending) => s3.client.send(command, sending))
    // S3 may begin to answer 200 and find out afterwards; without an ETag the answer was something else.
    if (answer.ETag === undefined) throw unusable(s3, key, 'it did not say that the upload is complete')
  }

  /** Ends what is in flight, then gives the parts back. Never throws: the error that led here is the one to tell. */
  async abort(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#inFlight)
    await abortUpload(this.#upload)
  }

  /** Never rejects: a failure is kept for the next call, and ends the parts beside it. */
  async #send(number: number, bytes: Buffer, md5: Buffer): Promise<void> {
    const { s3, key, id } = this.#upload
    const command = new s3.sdk.UploadPartCommand({
      ...s3.keyOf(key),
      UploadId: id,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ContentMD5: md5.toString('base64'),
    })
    const options = { signal: this.#stop.signal, bodyBytes: bytes.length, right: writeRight(s3) }
    try {
      const { ETag } = await s3.request(`put part ${number} of ${key}`, options, (sending) =>
        s3.client.send(command, sending),
      )
      if (ETag === undefined) throw unusable(s3, key, `it gave no ETag for part ${number}`)
      this.#completed.push({ PartNumber: number, ETag })
    } catch (error) {
      if (this.#failure !== undefined || this.#stop.signal.aborted || !(error instanceof CoffreError)) return
      this.#failure = error
      this.#stop.abort()
      this.#onFailure(error)
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
    throwIfInterrupted(this.#signal)
  }
}

/** Never throws: whoever tidies up has something more important to say. */
async function abortUpload({ s3, key, id }: Upload): Promise<void> {
  const command = new s3.sdk.AbortMultipartUploadCommand({ ...s3.keyOf(key), UploadId: id })
  const signal = AbortSignal.timeout(abortTimeoutMs)
  try {
    await s3.request(`abort the upload of ${key}`, { signal }, (sending) => s3.client.send(command, sending))
  } catch {
    // The bucket's rule for incomplete uploads removes it in the end.
  }
}

/** Uploads for the key that the store began and we never heard of, all but `kept`. */
async function abortLost(s3: S3Connection, key: string, kept: string | undefined): Promise<void> {
  const { Bucket, Key } = s3.keyOf(key)
  const command = new s3.sdk.ListMultipartUploadsCommand({ Bucket, Prefix: Key })
  const signal = AbortSignal.timeout(abortTimeoutMs)
  try {
    const list = await s3.request(`look for lost uploads of ${key}`, { signal }, (sending) =>
      s3.client.send(command, sending),
    )
    for (const { Key: found, UploadId: id } of list.Uploads ?? []) {
      if (found === Key && id !== undefined && id !== kept) await abortUpload({ s3, key, id })
    }
  } catch {
    // As above.
  }
}

/** Aborts every upload below the prefix that was begun before a moment; how many. Throws where that is denied. */
export async function abortUploadsBefore(
  s3: S3Connection,
  before: Date,
  signal: AbortSignal | undefined,
): Promise<number> {
  const asking = { signal, right: 's3:ListBucketMultipartUploads' }
  let aborted = 0
  let markers: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {}
  while (markers !== undefined) {
    const command = new s3.sdk.ListMultipartUploadsCommand({
      Bucket: s3.bucket,
      Prefix: s3.prefix,
      ...markers,
    })
    const page: ListMultipartUploadsCommandOutput = await s3.request(
      'look for unfinished uploads',
      asking,
      (sending) => s3.client.send(command, sending),
    )
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || Initiated === undefined || Initiated >= before)
        continue
      const abort = new s3.sdk.AbortMultipartUploadCommand({ Bucket: s3.bucket, Key, UploadId })
      await s3.request(
        'abort an unfinished upload',
        { signal, right: 's3:AbortMultipartUpload' },
        (sending) => s3.client.send(abort, sending),
      )
      aborted += 1
    }
    markers =
      page.IsTruncated === true && page.NextKeyMarker !== undefined
        ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker ?? '' }
        : undefined
  }
  return aborted
}

/** What a credential must be allowed, to write an object. */
export function writeRight(s3: S3Connection): string {
  const key = s3.encryption === 'sse-kms' ? ', and the use of the key (kms:GenerateDataKey, kms:Decrypt)' : ''
  return `s3:PutObject${key}`
}

function unusable(s3: S3Connection, key: string, what: string): CoffreError {
  return new CoffreError('ERR_STORE', `cannot put ${key} in ${s3.description}: ${what}`)
}
