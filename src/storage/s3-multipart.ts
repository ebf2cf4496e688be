/**
 * One multipart upload: parts in flight, a bounded number of them, until it is completed or aborted.
 * The SDK's own uploader is not used: it cannot send Content-MD5 with each part, which Object Lock asks for and which
 * catches damage on the way, and its parts do not grow. Whether the object is what it should be is looked at
 * afterwards, by `s3.ts`.
 */
import { createHash } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { throwIfInterrupted } from './interruptible.ts'
import type { S3Connection } from './s3-connection.ts'
import { assertPartNumber } from './s3-parts.ts'

/** Aborting is tidying up: it must not hold up the error that led to it for long. */
const abortTimeoutMs = 15_000

interface CompletedPart {
  readonly PartNumber: number
  readonly ETag: string
}

export class MultipartUpload {
  readonly #s3: S3Connection
  readonly #key: string
  readonly #uploadId: string
  readonly #inFlight = new Set<Promise<void>>()
  readonly #completed: CompletedPart[] = []
  readonly #signal: AbortSignal
  /** Ends the parts in flight: on the put's signal, on the first failure, on abort. */
  readonly #stop = new AbortController()
  #parts = 0
  #failure: CoffreError | undefined
  readonly #onFailure: (error: CoffreError) => void

  /** `onFailure` is called when a part fails for good, so that nobody waits for a source in vain. */
  private constructor(
    s3: S3Connection,
    key: string,
    uploadId: string,
    signal: AbortSignal,
    onFailure: (error: CoffreError) => void,
  ) {
    this.#s3 = s3
    this.#key = key
    this.#uploadId = uploadId
    this.#signal = signal
    this.#onFailure = onFailure
    signal.addEventListener('abort', () => this.#stop.abort(), { once: true })
  }

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
    const { UploadId } = await s3.request(`put ${key}`, { signal }, (sending) =>
      s3.client.send(command, sending),
    )
    if (UploadId === undefined) throw unusable(s3, key, 'it began no upload')
    return new MultipartUpload(s3, key, UploadId, signal, onFailure)
  }

  /** Resolves once there is room for another part, which is what holds the source back. */
  async add(bytes: Buffer): Promise<void> {
    while (this.#inFlight.size >= this.#s3.concurrency) await Promise.race(this.#inFlight)
    this.#throwFailure()
    this.#parts += 1
    assertPartNumber(this.#parts, this.#key, this.#s3.profile)
    const part: Promise<void> = this.#send(this.#parts, bytes).finally(() => this.#inFlight.delete(part))
    this.#inFlight.add(part)
  }

  /** Resolves when the store says that the object is whole. */
  async complete(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#throwFailure()
    const s3 = this.#s3
    const command = new s3.sdk.CompleteMultipartUploadCommand({
      ...s3.keyOf(this.#key),
      UploadId: this.#uploadId,
      MultipartUpload: { Parts: this.#completed.toSorted((a, b) => a.PartNumber - b.PartNumber) },
    })
    const answer = await s3.request(`put ${this.#key}`, { signal: this.#signal }, (sending) =>
      s3.client.send(command, sending),
    )
    // S3 may begin to answer 200 and find out afterwards; without an ETag the answer was something else.
    if (answer.ETag === undefined) throw unusable(s3, this.#key, 'it did not say that the upload is complete')
  }

  /** Ends what is in flight, then gives the parts back. Never throws: the error that led here is the one to tell. */
  async abort(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#inFlight)
    const s3 = this.#s3
    const command = new s3.sdk.AbortMultipartUploadCommand({
      ...s3.keyOf(this.#key),
      UploadId: this.#uploadId,
    })
    try {
      await s3.client.send(command, { abortSignal: AbortSignal.timeout(abortTimeoutMs) })
    } catch {
      // The bucket's rule for incomplete uploads removes it in the end.
    }
  }

  /** Never rejects: a failure is kept for the next call, and ends the parts beside it. */
  async #send(number: number, bytes: Buffer): Promise<void> {
    const s3 = this.#s3
    const command = new s3.sdk.UploadPartCommand({
      ...s3.keyOf(this.#key),
      UploadId: this.#uploadId,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ContentMD5: createHash('md5').update(bytes).digest('base64'),
    })
    const options = { signal: this.#stop.signal, bodyBytes: bytes.length }
    try {
      const { ETag } = await s3.request(`put part ${number} of ${this.#key}`, options, (sending) =>
        s3.client.send(command, sending),
      )
      if (ETag === undefined) throw unusable(s3, this.#key, `it gave no ETag for part ${number}`)
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

function unusable(s3: S3Connection, key: string, what: string): CoffreError {
  return new CoffreError('ERR_STORE', `cannot put ${key} in ${s3.description}: ${what}`)
}
