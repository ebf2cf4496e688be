/**
 * Writing one object to S3: small bodies in one request, large ones in parts, commit points create-only.
 * Nothing counts as stored before it was looked at: there, of the right size, the very object of this attempt, and
 * encrypted where that was asked for. The look also settles what a lost answer leaves open. What fails is removed as
 * far as the credentials allow; a writer that may not delete leaves debris, which no manifest names.
 */
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { asCoffreError, CoffreError } from '../errors.ts'
import { interruptible, throwIfInterrupted } from './interruptible.ts'
import type { S3Connection } from './s3-connection.ts'
import { failureOf } from './s3-errors.ts'
import { MultipartUpload, writeRight } from './s3-multipart.ts'
import { cutIntoParts, partSize } from './s3-parts.ts'

/** Metadata that carries a random word for each attempt: it tells our own object from somebody else's. */
const attemptField = 'coffre-attempt'

/** For looks and removals after a failure, which must not hold up the error for long. */
const tidyingTimeoutMs = 5000

const conflictAttempts = 5

/** One object on its way. */
interface Writing {
  readonly s3: S3Connection
  readonly key: string
  readonly attempt: string
  readonly signal: AbortSignal | undefined
}

/** Resolves with the size. Holds up to `concurrency + 1` parts in memory. */
export async function putObject(
  s3: S3Connection,
  key: string,
  body: AsyncIterable<Buffer>,
  userSignal: AbortSignal | undefined,
): Promise<number> {
  throwIfInterrupted(userSignal)
  const failed = new AbortController()
  const signal = userSignal === undefined ? failed.signal : AbortSignal.any([userSignal, failed.signal])
  const writing: Writing = { s3, key, attempt: randomUUID(), signal }
  const sizeOf = (number: number): number => partSize(number, s3.partSizeBytes, s3.profile)
  let upload: MultipartUpload | undefined
  let sizeBytes = 0
  try {
    for await (const part of cutIntoParts(interruptible(body, signal), sizeOf)) {
      sizeBytes += part.length
      if (upload === undefined && part.length < sizeOf(1)) {
        await settle(writing, { sizeBytes, etag: md5Of(part).toString('hex') }, () =>
          putWhole(writing, part, sendsCondition(s3)),
        )
        return sizeBytes
      }
      upload ??= await MultipartUpload.begin(s3, key, metadataOf(writing), signal, (error) =>
        failed.abort(error),
      )
      await upload.add(part)
    }
    await settle(writing, { sizeBytes, etag: upload?.md5Etag ?? '' }, async () => upload?.complete())
    return sizeBytes
  } catch (error) {
    await upload?.abort()
    throw error
  }
}

/**
 * One PutObject that the store itself refuses where the key is taken. For a provider that cannot do that, or is not
 * known to, a look before the write: no protection against a writer at the same moment.
 */
export async function createObject(
  s3: S3Connection,
  key: string,
  bytes: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  throwIfInterrupted(signal)
  const writing: Writing = { s3, key, attempt: randomUUID(), signal }
  const refuses = s3.profile.conditionalPut === 'yes'
  if (!refuses && (await s3.head(key, signal)) !== undefined) throw alreadyThere(writing)
  const expected = { sizeBytes: bytes.length, etag: md5Of(bytes).toString('hex') }
  await settle(writing, expected, () => putWhole(writing, bytes, sendsCondition(s3)))
}

function sendsCondition(s3: S3Connection): boolean {
  return s3.profile.conditionalPut !== 'no'
}

function md5Of(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest()
}

async function putWhole(writing: Writing, bytes: Buffer, createOnly: boolean): Promise<void> {
  const { s3, key, signal } = writing
  await s3.uploadLimit?.turn(bytes.length, signal)
  const command = new s3.sdk.PutObjectCommand({
    ...s3.keyOf(key),
    ...s3.encryptionHeaders(),
    ...(createOnly ? { IfNoneMatch: '*' } : {}),
    Metadata: metadataOf(writing),
    Body: bytes,
    ContentLength: bytes.length,
    ContentMD5: md5Of(bytes).toString('base64'),
  })
  const options = { signal, bodyBytes: bytes.length, right: writeRight(s3) }
  for (let attempt = 1; ; attempt += 1) {
    try {
      await s3.request(`put ${key}`, options, (sending) => s3.client.send(command, sending))
      return
    } catch (error) {
      const failure = failureOf(error)
      if (createOnly && failure?.status === 501) throw cannotRefuse(writing, error)
      // 409: somebody else is writing this key at this moment, and may yet fail.
      if (failure?.status !== 409 || attempt === conflictAttempts) throw error
      await pause(100 * attempt, undefined, { signal }).catch(() => throwIfInterrupted(signal))
    }
  }
}

/** What must be seen on the stored object. `etag` only counts where the provider makes it of MD5. */
interface Expected {
  readonly sizeBytes: number
  readonly etag: string
}

/** Runs a write and looks at what came of it; on failure, removes what this attempt made. */
async function settle(writing: Writing, expected: Expected, write: () => Promise<void>): Promise<void> {
  let lost: CoffreError | undefined
  try {
    await write()
  } catch (error) {
    lost = asCoffreError(error)
  }
  if (lost !== undefined) {
    const head = await lookQuietly(writing)
    const failure = failureOf(lost)
    if (failure?.status === 409 && head !== undefined && !isOurs(writing, head)) throw alreadyThere(writing)
    if (!isOurs(writing, head)) throw lost
    // The answer was lost, not the object: it counts, unless nobody wants it any more.
    if (writing.signal?.aborted === true) {
      await remove(writing, head)
      throw lost
    }
  }
  await confirm(writing, expected)
}

/** Throws ERR_NOT_STORED when the stored object is not what it should be, and removes it if it is ours. */
async function confirm(writing: Writing, expected: Expected): Promise<void> {
  const { s3, key, signal } = writing
  let head: HeadObjectCommandOutput | undefined
  try {
    head = await s3.head(key, signal)
  } catch (error) {
    const found = await lookQuietly(writing)
    if (isOurs(writing, found)) await remove(writing, found)
    throw error
  }
  if (head === undefined) throw notStored(writing, 'it is not there after it was stored')
  if (!isOurs(writing, head)) throw notStored(writing, 'somebody else stored another object under its key')
  const wrong = wrongSize(expected, head) ?? wrongEncryption(s3, head) ?? wrongEtag(s3, expected, head)
  if (wrong === undefined) return
  const removed = await remove(writing, head)
  throw notStored(
    writing,
    `${wrong}; it was ${removed ? 'removed' : 'left there, as it could not be removed'}`,
  )
}

function wrongSize({ sizeBytes }: Expected, head: HeadObjectCommandOutput): string | undefined {
  if (head.ContentLength === sizeBytes) return undefined
  return `the store has ${head.ContentLength ?? 'an unknown number of'} bytes of ${sizeBytes}`
}

/** Of an object under a KMS key it is made of other things ("Object", Amazon S3 API reference). */
function wrongEtag(s3: S3Connection, { etag }: Expected, head: HeadObjectCommandOutput): string | undefined {
  const kms = head.ServerSideEncryption?.startsWith('aws:kms') === true
  if (s3.profile.etag !== 'md5' || kms || head.ETag?.replaceAll('"', '') === etag) return undefined
  return `the store has other bytes than it was given (ETag ${head.ETag ?? 'missing'}, not ${etag})`
}

function wrongEncryption(s3: S3Connection, head: HeadObjectCommandOutput): string | undefined {
  if (s3.encryption === 'none') return undefined
  const seen = head.ServerSideEncryption
  const asked = s3.encryption === 'sse-s3' ? 'AES256' : 'aws:kms'
  if (seen === undefined) return `the store did not encrypt it (${asked} was asked for)`
  if (seen !== asked) return `the store encrypted it with ${seen} where ${asked} was asked for`
  // An alias cannot be compared: the store answers with the key that it stands for.
  const key = s3.kmsKey
  if (s3.encryption === 'sse-s3' || key === undefined || key.includes('alias/')) return undefined
  const used = head.SSEKMSKeyId ?? ''
  return used === key || used.endsWith(`/${key}`) ? undefined : 'the store encrypted it with another key'
}

function isOurs(writing: Writing, head: HeadObjectCommandOutput | undefined): boolean {
  return head?.Metadata?.[attemptField] === writing.attempt
}

function metadataOf(writing: Writing): Record<string, string> {
  return { [attemptField]: writing.attempt }
}

/** Undefined when nothing is there, and when that cannot be found out. */
async function lookQuietly(writing: Writing): Promise<HeadObjectCommandOutput | undefined> {
  try {
    return await writing.s3.head(writing.key, AbortSignal.timeout(tidyingTimeoutMs))
  } catch {
    return undefined
  }
}

/**
 * The very version that was seen, where there are versions; where that is denied (it is a right of its own) a marker
 * that hides it. Whether either worked.
 */
async function remove(writing: Writing, head: HeadObjectCommandOutput | undefined): Promise<boolean> {
  const versions = head?.VersionId === undefined ? [undefined] : [head.VersionId, undefined]
  for (const version of versions) {
    try {
      await writing.s3.delete(writing.key, AbortSignal.timeout(tidyingTimeoutMs), version)
      return true
    } catch {
      // Then the next way.
    }
  }
  return false
}

function alreadyThere({ s3, key }: Writing): CoffreError {
  return new CoffreError('ERR_EXISTS', `${key} in ${s3.description} already exists`)
}

function notStored({ s3, key }: Writing, what: string): CoffreError {
  return new CoffreError('ERR_NOT_STORED', `${key} in ${s3.description}: ${what}`)
}

function cannotRefuse({ s3, key }: Writing, cause: unknown): CoffreError {
  const message = `cannot put ${key} in ${s3.description}: ${s3.profile.name} cannot refuse an overwrite`
  return new CoffreError('ERR_STORE', message, {
    hint: 'coffre needs If-None-Match on PutObject; a provider known to lack it has a setting of its own: set provider',
    cause,
  })
}
