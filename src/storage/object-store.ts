/**
 * Bytes by key: the port every store implements, and what a store must guarantee.
 * Keys are `/`-separated, relative to the repository's prefix; each segment matches [A-Za-z0-9][A-Za-z0-9._-]*
 * (checked by `assertKey`, so that no key can leave a directory). The contract suite in test/contract runs
 * unchanged on every implementation.
 */
import { CoffreError } from '../errors.ts'

export interface StoredObject {
  readonly key: string
  readonly sizeBytes: number
}

export interface ObjectHead extends StoredObject {
  /** Server-side encryption as the store reports it for this object; undefined where it reports none. */
  readonly encryption?: 'AES256' | 'aws:kms' | undefined
}

export interface ByteRange {
  /** First byte, from 0. */
  readonly start: number
  /** Number of bytes, at least 1. A range that reaches past the end gives what there is, which may be nothing. */
  readonly length: number
}

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ObjectStore {
  /** For messages and lists: where this is, without secrets. */
  readonly description: string

  /**
   * Stores a stream under a new key. Resolves only when every byte is durable (fsynced, or acknowledged by the
   * store) and visible under `key`; until then nothing is visible. If the source throws or the signal aborts,
   * nothing becomes visible and partial uploads are removed as far as the store allows. The source is pulled
   * one chunk at a time: back-pressure reaches it, and a chunk's memory is the source's again once the next is asked for. Callers use keys that are unique to one attempt; a store may
   * not refuse an existing key here, where it can it throws ERR_EXISTS.
   */
  put(key: string, body: AsyncIterable<Buffer>, options?: StoreOptions): Promise<{ sizeBytes: number }>

  /**
   * Stores a small object, only if the key does not exist: one atomic, create-only write (S3: a single PutObject
   * with If-None-Match: *). Of several at once exactly one wins; the others get ERR_EXISTS.
   */
  create(key: string, bytes: Buffer, options?: StoreOptions): Promise<void>

  /** The object's bytes, in order. Throws ERR_STORE when it is missing or ends early. */
  get(key: string, options?: StoreOptions & { range?: ByteRange | undefined }): AsyncIterable<Buffer>

  /** Undefined when there is no such object; any other trouble throws. */
  head(key: string, options?: StoreOptions): Promise<ObjectHead | undefined>

  /**
   * Every object below a folder (`folder` ends with `/`, or is empty for all), in ascending byte order of the key.
   * What is still being written is not listed.
   */
  list(folder: string, options?: StoreOptions): AsyncIterable<StoredObject>

  /** Removes one object; removing a missing one succeeds. */
  delete(key: string, options?: StoreOptions): Promise<void>

  /**
   * Gives back what killed runs left of writes that they began before a moment: multipart uploads, partial files. Nothing
   * that is listed is touched. Resolves with how many there were.
   */
  sweepUnfinished(before: Date, options?: StoreOptions): Promise<number>
}

const segmentPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/

/** Whether a name from outside is a key: plain segments of at most 255 bytes (a file name's limit), 900 in all. */
export function isKey(name: string): boolean {
  return name.length <= 900 && name.split('/').every((segment) => segmentPattern.test(segment))
}

/** Throws ERR_FORMAT for a key that is not made of plain segments: names from outside never become paths. */
export function assertKey(key: string): void {
  if (!isKey(key)) {
    throw new CoffreError('ERR_FORMAT', `not a valid object key: ${JSON.stringify(key.slice(0, 200))}`)
  }
}

/** Throws ERR_FORMAT for what is neither empty nor a key followed by `/`. */
export function assertFolder(folder: string): void {
  if (folder !== '' && !(folder.endsWith('/') && isKey(folder.slice(0, -1)))) {
    throw new CoffreError('ERR_FORMAT', `not a valid folder: ${JSON.stringify(folder.slice(0, 200))}`)
  }
}

/** Reads a small object whole. Throws ERR_FORMAT when it is larger than `limitBytes`. */
export async function readObject(
  store: ObjectStore,
  key: string,
  options: StoreOptions & { readonly limitBytes: number; readonly range?: ByteRange | undefined },
): Promise<Buffer> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of store.get(key, options)) {
    sizeBytes += part.length
    if (sizeBytes > options.limitBytes) {
      throw new CoffreError('ERR_FORMAT', `${key} is larger than ${options.limitBytes} bytes`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}
