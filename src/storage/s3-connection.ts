/**
 * One bucket and prefix, ready to be asked: the SDK's client, its patience, and what goes with every request.
 * Every request has a time limit and a budget of attempts; what fails in the end is a CoffreError. The SDK is loaded
 * here and only when a store is opened, as it takes longer to load than everything else together.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { HeadObjectCommandOutput, S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { CoffreError } from '../errors.ts'
import { type Encryption, type Provider, providerTraits } from '../model/provider.ts'
import { interruption, throwIfInterrupted } from './interruptible.ts'
import { isKey } from './object-store.ts'
import { type ProviderProfile, providerProfiles } from './provider-profiles.ts'
import { failureOf, S3Failure, storeError } from './s3-errors.ts'
import { UploadLimit } from './upload-limit.ts'
import { noRetries, pauseBeforeRetryMs } from './s3-retries.ts'

export interface S3Settings {
  readonly provider: Provider
  /** Undefined: the provider's own for the region. */
  readonly endpoint: string | undefined
  readonly region: string
  readonly bucket: string
  /** Where the repository lives in the bucket, without slashes around it; empty for the whole bucket. */
  readonly prefix: string
  readonly encryption: Encryption
  /** For `sse-kms`: the key's id or ARN; undefined: the account's default key. */
  readonly kmsKey: string | undefined
  /** Undefined: the usual AWS environment, profiles and instance roles. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  /** Of a multipart upload's first parts; 5 MiB to 5 GiB. One put holds `concurrency + 1` parts in memory. */
  readonly partSizeBytes?: number | undefined
  /** Parts of one put in flight at once; default 2. */
  readonly concurrency?: number | undefined
  /** All uploads together, in the mean; undefined: as fast as the line is. */
  readonly uploadBytesPerSecond?: number | undefined
  /** How long the line may be silent while an answer is due, and a download be silent; default 60,000. */
  readonly requestTimeoutMs?: number | undefined
  /**
   * Attempts for one request, and for one download that breaks off without getting further; default 4. Twice as many
   * where the server answers that it is busy.
   */
  readonly maxAttempts?: number | undefined
}

export type S3Sdk = typeof import('@aws-sdk/client-s3')

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined
  /** Of the request's body: large ones get the time they need on a slow line. */
  readonly bodyBytes?: number | undefined
  /** More than once the usual time, for what a server works at for long. */
  readonly patience?: number | undefined
  /** What the credential must be allowed to do, in S3's words, for the hint where it is not. */
  readonly right?: string | undefined
}

export interface Sending {
  readonly abortSignal: AbortSignal
  readonly requestTimeout: number
}

const mebibyte = 1024 * 1024
const connectionTimeoutMs = 10_000
/** A line slower than 20 kB/s is taken for a dead one, as is one on which nothing moves for the request's limit. */
const slowestBytesPerMs = 20
/** The SDK's limits come first, as their errors say more; this is for what they do not see. */
const graceMs = 2000

export class S3Connection {
  readonly sdk: S3Sdk
  readonly client: S3Client
  /** For downloads: their reader may pause for as long as it likes. */
  readonly downloads: S3Client
  readonly bucket: string
  readonly description: string
  readonly profile: ProviderProfile
  readonly encryption: Encryption
  readonly kmsKey: string | undefined
  readonly partSizeBytes: number
  readonly concurrency: number
  readonly uploadLimit: UploadLimit | undefined
  readonly requestTimeoutMs: number
  readonly maxAttempts: number
  /** Empty, or ends with `/`. */
  readonly prefix: string
  /** Whether anything has succeeded: from then on bucket and credentials are known to be right. */
  #succeeded = false

  constructor(settings: S3Settings, sdk: S3Sdk) {
    const profile = providerProfiles[settings.provider]
    this.sdk = sdk
    this.profile = profile
    this.bucket = settings.bucket
    this.prefix = settings.prefix === '' ? '' : `${settings.prefix}/`
    this.description = `s3://${settings.bucket}${settings.prefix === '' ? '' : `/${settings.prefix}`}`
    this.encryption = settings.encryption
    this.kmsKey = settings.kmsKey
    this.partSizeBytes = settings.partSizeBytes ?? profile.partSizeBytes
    const { uploadBytesPerSecond } = settings
    this.uploadLimit = uploadBytesPerSecond === undefined ? undefined : new UploadLimit(uploadBytesPerSecond)
    this.concurrency = settings.concurrency ?? 2
    this.requestTimeoutMs = settings.requestTimeoutMs ?? 60_000
    this.maxAttempts = settings.maxAttempts ?? 4
    const config = clientConfig(settings, profile)
    const timeouts = {
      connectionTimeout: Math.min(connectionTimeoutMs, this.requestTimeoutMs),
      requestTimeout: this.requestTimeoutMs,
      throwOnRequestTimeout: true,
    }
    this.client = new sdk.S3Client({
      ...config,
      requestHandler: { ...timeouts, socketTimeout: this.requestTimeoutMs },
    })
    this.downloads = new sdk.S3Client({
      ...config,
      credentials: this.client.config.credentials,
      requestHandler: { ...timeouts, socketTimeout: 0 },
    })
  }

  keyOf(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key }
  }

  /** The headers that ask for encryption, on whatever makes an object. */
  encryptionHeaders(): { ServerSideEncryption?: 'AES256' | 'aws:kms'; SSEKMSKeyId?: string } {
    if (this.encryption === 'none') return {}
    if (this.encryption === 'sse-s3') return { ServerSideEncryption: 'AES256' }
    return {
      ServerSideEncryption: 'aws:kms',
      ...(this.kmsKey === undefined ? {} : { SSEKMSKeyId: this.kmsKey }),
    }
  }

  /**
   * One request, repeated while that may help, each attempt within its time limit: however it hangs, it ends. `action`
   * reads after "cannot", as in "put backups/x"; the store is added. An abort throws `interruption` at once, all else
   * a CoffreError made by `storeError`.
   */
  async request<T>(
    action: string,
    options: RequestOptions,
    send: (sending: Sending) => Promise<T>,
  ): Promise<T> {
    const { signal, right } = options
    for (let attempt = 1; ; attempt += 1) {
      throwIfInterrupted(signal)
      try {
        const answer = await this.#attempt(options, send)
        this.#succeeded = true
        return answer
      } catch (error) {
        if (signal?.aborted === true) throw interruption(signal)
        if (error instanceof CoffreError) throw error
        const failure = new S3Failure(error)
        const pauseMs = pauseBeforeRetryMs(failure, attempt, this.maxAttempts)
        if (pauseMs === undefined) throw storeError(`${action} in ${this.description}`, failure, right)
        await pause(pauseMs, undefined, { signal }).catch(() => throwIfInterrupted(signal))
      }
    }
  }

  /** The SDK's own limit ends with the headers: an answer that stops in its body would hold us for ever. */
  async #attempt<T>(options: RequestOptions, send: (sending: Sending) => Promise<T>): Promise<T> {
    const patience = this.requestTimeoutMs * (options.patience ?? 1)
    const requestTimeout = patience + (options.bodyBytes ?? 0) / slowestBytesPerMs
    const stop = new AbortController()
    const onAbort = (): void => stop.abort()
    const deadline = setTimeout(onAbort, requestTimeout + graceMs)
    options.signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await send({ abortSignal: stop.signal, requestTimeout })
    } finally {
      clearTimeout(deadline)
      options.signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Undefined for 404 only: a 403 is a key that may or may not be there. */
  async head(key: string, signal?: AbortSignal): Promise<HeadObjectCommandOutput | undefined> {
    const command = new this.sdk.HeadObjectCommand(this.keyOf(key))
    const action = `look at ${key}`
    // Without the second one S3 says "denied" of a key that is not there.
    const right = 's3:GetObject and s3:ListBucket'
    try {
      return await this.request(action, { signal, right }, (sending) => this.client.send(command, sending))
    } catch (error) {
      await this.#explain(action, error, signal)
      if (failureOf(error)?.status === 404) return undefined
      throw error
    }
  }

  /**
   * The answer to a HEAD has no body, so a missing bucket, a wrong key and a wrong region look like a missing object or
   * a denied one. As long as nothing has succeeded yet, a list asks again; throws what it says, if it says more.
   */
  async #explain(action: string, error: unknown, signal: AbortSignal | undefined): Promise<void> {
    const bare = failureOf(error)?.status
    if (this.#succeeded || bare === undefined || bare >= 500) return
    const command = new this.sdk.ListObjectsV2Command({
      Bucket: this.bucket,
      Prefix: this.prefix,
      MaxKeys: 1,
    })
    try {
      await this.request(action, { signal }, (sending) => this.client.send(command, sending))
    } catch (better) {
      throwIfInterrupted(signal)
      const { status = 500, code } = failureOf(better) ?? {}
      if (status < 500 && code !== 'AccessDenied') throw better
    }
  }

  /** Removes the object, or one version of it; a missing one is no error. */
  async delete(key: string, signal?: AbortSignal, versionId?: string): Promise<void> {
    const version = versionId === undefined ? {} : { VersionId: versionId }
    const command = new this.sdk.DeleteObjectCommand({ ...this.keyOf(key), ...version })
    try {
      await this.request(`delete ${key}`, { signal, right: 's3:DeleteObject' }, (sending) =>
        this.client.send(command, sending),
      )
    } catch (error) {
      if (failureOf(error)?.code !== 'NoSuchKey') throw error
    }
  }
}

/** Throws ERR_CONFIG for what the provider cannot do, or what S3 does not allow. */
export async function connectS3(settings: S3Settings): Promise<S3Connection> {
  const profile = providerProfiles[settings.provider]
  const { address, encryptions } = providerTraits[settings.provider]
  if ('endpoint' in address && settings.endpoint === undefined) {
    throw new CoffreError('ERR_CONFIG', `the repository in bucket ${settings.bucket} has no endpoint`, {
      hint: `${profile.name} has no endpoint that follows from the region: for example endpoint: ${address.endpoint}`,
    })
  }
  if (!encryptions.includes(settings.encryption)) {
    throw new CoffreError('ERR_CONFIG', `${profile.name} does not offer encryption: ${settings.encryption}`, {
      hint: `it offers ${encryptions.join(', ')}; coffre's own encryption does not depend on it`,
    })
  }
  if (settings.prefix !== '' && !(isKey(settings.prefix) && settings.prefix.length <= 120)) {
    throw new CoffreError('ERR_CONFIG', `not a valid prefix: ${JSON.stringify(settings.prefix)}`, {
      hint: 'letters, digits, dots, dashes, underscores, and slashes between them; at most 120 characters',
    })
  }
  const partSizeBytes = settings.partSizeBytes ?? profile.partSizeBytes
  if (partSizeBytes < 5 * mebibyte || partSizeBytes > 5 * 1024 * mebibyte) {
    throw new CoffreError(
      'ERR_CONFIG',
      `a part size of ${partSizeBytes} bytes is not between 5 MiB and 5 GiB`,
    )
  }
  return new S3Connection(settings, await import('@aws-sdk/client-s3'))
}

function clientConfig(settings: S3Settings, profile: ProviderProfile): S3ClientConfig {
  const endpoint = settings.endpoint ?? profile.endpoint?.replace('{region}', settings.region)
  return {
    region: settings.region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(settings.credentials === undefined ? {} : { credentials: { ...settings.credentials } }),
    // A name with dots is not covered by the provider's TLS certificate for host names.
    forcePathStyle: profile.pathStyle || settings.bucket.includes('.'),
    requestChecksumCalculation: profile.checksums,
    responseChecksumValidation: profile.checksums,
    followRegionRedirects: false,
    maxAttempts: 1,
    retryStrategy: noRetries,
    // With the header the SDK waits for a silent server longer than its time limit, and hears no abort meanwhile.
    expectContinueHeader: false,
  }
}
