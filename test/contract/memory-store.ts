/**
 * An object store in memory, for tests of what stands above the port. It keeps the whole contract, the strictness
 * about keys included; it is no mock: the contract suite runs on it unchanged.
 */
import { CoffreError } from '../../src/errors.ts'
import { interruptible, throwIfInterrupted } from '../../src/storage/interruptible.ts'
import {
  assertFolder,
  assertKey,
  type ByteRange,
  type ObjectHead,
  type ObjectStore,
  type StoredObject,
  type StoreOptions,
} from '../../src/storage/object-store.ts'

const chunkBytes = 64 * 1024

export class MemoryStore implements ObjectStore {
  readonly description = 'memory'
  readonly #objects = new Map<string, Buffer>()

  async put(
    key: string,
    body: AsyncIterable<Buffer>,
    options: StoreOptions = {},
  ): Promise<{ sizeBytes: number }> {
    assertKey(key)
    const chunks: Buffer[] = []
    for await (const chunk of interruptible(body, options.signal)) chunks.push(Buffer.from(chunk))
    const bytes = Buffer.concat(chunks)
    this.#keep(key, bytes, options)
    return { sizeBytes: bytes.length }
  }

  async create(key: string, bytes: Buffer, options: StoreOptions = {}): Promise<void> {
    assertKey(key)
    this.#keep(key, Buffer.from(bytes), options)
  }

  async *get(
    key: string,
    options: StoreOptions & { range?: ByteRange | undefined } = {},
  ): AsyncGenerator<Buffer> {
    assertKey(key)
    throwIfInterrupted(options.signal)
    const bytes = this.#objects.get(key)
    if (bytes === undefined) throw new CoffreError('ERR_STORE', `no such object: ${key} in memory`)
    const start = options.range?.start ?? 0
    const end = Math.min(bytes.length, start + (options.range?.length ?? bytes.length))
    for (let position = start; position < end; position += chunkBytes) {
      throwIfInterrupted(options.signal)
      yield Buffer.from(bytes.subarray(position, Math.min(end, position + chunkBytes)))
    }
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectHead | undefined> {
    assertKey(key)
    throwIfInterrupted(options.signal)
    const bytes = this.#objects.get(key)
    return bytes === undefined ? undefined : { key, sizeBytes: bytes.length }
  }

  async *list(folder: string, options: StoreOptions = {}): AsyncGenerator<StoredObject> {
    assertFolder(folder)
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(folder)).sort()
    for (const key of keys) {
      throwIfInterrupted(options.signal)
      const bytes = this.#objects.get(key)
      if (bytes !== undefined) yield { key, sizeBytes: bytes.length }
    }
  }

  async delete(key: string, options: StoreOptions = {}): Promise<void> {
    assertKey(key)
    throwIfInterrupted(options.signal)
    this.#objects.delete(key)
  }

  async sweepUnfinished(): Promise<number> {
    return 0
  }

  #keep(key: string, bytes: Buffer, options: StoreOptions): void {
    throwIfInterrupted(options.signal)
    if (this.#objects.has(key)) throw new CoffreError('ERR_EXISTS', `${key} in memory already exists`)
    this.#objects.set(key, bytes)
  }
}
