/**
 * One object's bytes, all of them: what the answer's headers promise is counted, and a download that breaks off or
 * falls silent is taken up again where it stopped, from the same object, as long as it gets further: attempts without
 * that are limited.
 */
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { CoffreError } from '../errors.ts'
import { interruptible, interruption, throwIfInterrupted } from './interruptible.ts'
import type { ByteRange, StoreOptions } from './object-store.ts'
import type { S3Connection } from './s3-connection.ts'
import { failureOf, storeError } from './s3-errors.ts'
import { pauseMs } from './s3-retries.ts'

/** One answer: its bytes, where they end in the object, and which object it is about. */
interface Answer {
  readonly body: Readable
  readonly endByte: number
  readonly etag: string | undefined
}

/** Yields nothing where a range begins at or past the end. Throws ERR_STORE for a missing or broken-off object. */
export async function* download(
  s3: S3Connection,
  key: string,
  options: StoreOptions & { range?: ByteRange | undefined },
): AsyncGenerator<Buffer> {
  const { range, signal } = options
  const silence = {
    timeoutMs: s3.requestTimeoutMs,
    error: () => problem(s3, key, `nothing came for ${s3.requestTimeoutMs / 1000} seconds`),
  }
  let position = range?.start ?? 0
  let first: Answer | undefined
  let attempt = 1
  let farEnough = position + s3.partSizeBytes
  for (;;) {
    const answer = await ask(s3, key, position, range, signal)
    if (answer === undefined && first === undefined) return
    first ??= answer
    try {
      if (answer === undefined || answer.etag !== first?.etag || answer.endByte !== first?.endByte) {
        throw problem(s3, key, 'it was replaced while it was read', 'ERR_NOT_STORED')
      }
      for await (const chunk of interruptible(answer.body, signal, silence)) {
        position += chunk.length
        yield chunk
      }
      if (position === answer.endByte) return
      throw problem(s3, key, `it ends early, at byte ${position} of ${answer.endByte}`)
    } catch (error) {
      if (signal?.aborted === true) throw interruption(signal)
      const failure = storeError(`get ${key} in ${s3.description}`, error)
      if (position >= farEnough) {
        attempt = 0
        farEnough = position + s3.partSizeBytes
      }
      attempt += 1
      if (failure.code !== 'ERR_STORE' || attempt > s3.maxAttempts) throw failure
    } finally {
      answer?.body.destroy()
    }
    await pause(pauseMs(attempt - 1), undefined, { signal }).catch(() => throwIfInterrupted(signal))
  }
}

/** Asks from a position to the end of the range; undefined when the object has nothing there. */
async function ask(
  s3: S3Connection,
  key: string,
  position: number,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): Promise<Answer | undefined> {
  const ranged = range !== undefined || position > 0
  const last = range === undefined ? '' : range.start + range.length - 1
  const command = new s3.sdk.GetObjectCommand({
    ...s3.keyOf(key),
    ...(ranged ? { Range: `bytes=${position}-${last}` } : {}),
  })
  const output = await s3
    .request(`get ${key}`, { signal, right: 's3:GetObject' }, (sending) =>
      s3.downloads.send(command, sending),
    )
    .catch((error: unknown) => {
      if (failureOf(error)?.status === 416) return undefined
      throw error
    })
  if (output === undefined) return undefined
  const { Body: body, ContentLength: length } = output
  if (!(body instanceof Readable)) throw problem(s3, key, 'the answer has no body')
  // A server that ignores the range, or does not say how much it sends, would give other bytes than asked for.
  const answersRange = output.ContentRange?.startsWith(`bytes ${position}-`) ?? false
  if (length === undefined || ranged !== answersRange) {
    body.destroy()
    throw problem(s3, key, 'the answer does not say which bytes it holds')
  }
  return { body, endByte: position + length, etag: output.ETag }
}

function problem(
  s3: S3Connection,
  key: string,
  what: string,
  code: 'ERR_STORE' | 'ERR_NOT_STORED' = 'ERR_STORE',
): CoffreError {
  return new CoffreError(code, `cannot get ${key} in ${s3.description}: ${what}`)
}
