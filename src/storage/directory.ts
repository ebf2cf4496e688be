/**
 * The object store in a folder: a local disk, a mounted share. Folders are 0700, files 0600.
 * What is visible is whole and durable (`durable-file.ts`). No key leaves the root: keys are plain segments, and a
 * symbolic link below the root is refused, never followed. Somebody who may write to the folder while coffre runs
 * can still swap a folder for a link between the look and the use: keep it to coffre's own user.
 * It cannot keep a writer from deleting: it is not append-only. The root itself is never made: where it is missing,
 * a disk is usually not mounted.
 */
import { constants, lstat, open, readdir, realpath, rmdir, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { CoffreError } from '../errors.ts'
import { sweepAbandoned, sweepPartial, syncFolders, writeDurably } from './durable-file.ts'
import { fileError, isMissing, systemCode } from './file-errors.ts'
import { throwIfInterrupted } from './interruptible.ts'
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
import { assertNoLinks, notAFile, pathOf, type StoredFile } from './stored-file.ts'

const readBytes = 256 * 1024

export class DirectoryStore implements ObjectStore {
  readonly description: string
  readonly #root: string
  #swept = false

  /** `root` is an absolute path; whether it is there is asked with every call, as shares come and go. */
  constructor(options: { readonly root: string }) {
    if (!isAbsolute(options.root)) {
      throw new CoffreError('ERR_CONFIG', `the directory ${options.root} is not an absolute path`)
    }
    this.#root = resolve(options.root)
    this.description = this.#root
  }

  async put(
    key: string,
    body: AsyncIterable<Buffer>,
    options: StoreOptions = {},
  ): Promise<{ sizeBytes: number }> {
    const file = await this.#locate(key)
    if (!this.#swept) {
      this.#swept = true
      await sweepAbandoned(file.root, Date.now())
    }
    return { sizeBytes: await writeDurably(file, body, options.signal) }
  }

  async create(key: string, bytes: Buffer, options: StoreOptions = {}): Promise<void> {
    await writeDurably(await this.#locate(key), once(bytes), options.signal)
  }

  async *get(
    key: string,
    options: StoreOptions & { range?: ByteRange | undefined } = {},
  ): AsyncGenerator<Buffer> {
    const file = await this.#locate(key)
    throwIfInterrupted(options.signal)
    const handle = await this.#openForReading(file)
    try {
      const stat = await handle.stat()
      if (!stat.isFile()) throw notAFile(file)
      const start = options.range?.start ?? 0
      const end = Math.min(stat.size, start + (options.range?.length ?? stat.size))
      yield* readBetween(handle, start, end, file.name, options.signal)
    } finally {
      await handle.close()
    }
  }

  async head(key: string, options: StoreOptions = {}): Promise<ObjectHead | undefined> {
    const file = await this.#locate(key)
    throwIfInterrupted(options.signal)
    try {
      await assertNoLinks(file)
      const stat = await lstat(pathOf(file))
      if (stat.isDirectory()) return undefined
      if (!stat.isFile()) throw notAFile(file)
      return { key, sizeBytes: stat.size }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw fileError(`look at ${file.name}`, error)
    }
  }

  async *list(folder: string, options: StoreOptions = {}): AsyncGenerator<StoredObject> {
    assertFolder(folder)
    const root = await this.#realRoot()
    if (folder !== '') {
      const segments = folder.slice(0, -1).split('/')
      try {
        await assertNoLinks({ root, segments: [...segments, 'x'], name: `${folder} in ${this.#root}` })
      } catch (error) {
        if (isMissing(error)) return
        throw fileError(`list ${folder} in ${this.#root}`, error)
      }
    }
    yield* this.#walk(root, folder, options.signal)
  }

  async delete(key: string, options: StoreOptions = {}): Promise<void> {
    const file = await this.#locate(key)
    if ((await this.head(key, options)) === undefined) return
    const path = pathOf(file)
    try {
      await unlink(path)
      await removeEmptyFolders(dirname(path), file.root)
    } catch (error) {
      if (!isMissing(error)) throw fileError(`delete ${file.name}`, error)
    }
  }

  async sweepUnfinished(before: Date, options: StoreOptions = {}): Promise<number> {
    throwIfInterrupted(options.signal)
    return await sweepPartial(await this.#realRoot(), before.getTime())
  }

  async #locate(key: string): Promise<StoredFile> {
    assertKey(key)
    return { root: await this.#realRoot(), segments: key.split('/'), name: `${key} in ${this.#root}` }
  }

  async #realRoot(): Promise<string> {
    try {
      return await realpath(this.#root)
    } catch (error) {
      if (!isMissing(error)) throw fileError(`open ${this.#root}`, error)
      throw new CoffreError('ERR_STORE', `the folder ${this.#root} does not exist`, {
        hint: `mount the disk it belongs to, or make it: install -d -m 0700 ${this.#root}`,
        cause: error,
      })
    }
  }

  async #openForReading(file: StoredFile): Promise<FileHandle> {
    try {
      await assertNoLinks(file)
      // O_NONBLOCK: a named pipe put there by somebody must not hold us up before fstat can refuse it.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      return await open(pathOf(file), flags)
    } catch (error) {
      if (isMissing(error))
        throw new CoffreError('ERR_STORE', `no such object: ${file.name}`, { cause: error })
      if (systemCode(error) === 'ELOOP') throw notAFile(file)
      throw fileError(`read ${file.name}`, error)
    }
  }

  /** Folders sort as if their name ended in `/`: that is the byte order of whole keys. */
  async *#walk(root: string, folder: string, signal: AbortSignal | undefined): AsyncGenerator<StoredObject> {
    throwIfInterrupted(signal)
    const names: string[] = []
    try {
      for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
        if (!isKey(folder + entry.name)) continue
        if (entry.isDirectory()) names.push(`${entry.name}/`)
        else if (entry.isFile()) names.push(entry.name)
      }
    } catch (error) {
      if (isMissing(error)) return
      throw fileError(`list ${folder} in ${this.#root}`, error)
    }
    names.sort((a, b) => (a < b ? -1 : 1))
    for (const name of names) {
      if (name.endsWith('/')) {
        yield* this.#walk(root, folder + name, signal)
        continue
      }
      const head = await this.head(folder + name, { signal })
      if (head !== undefined) yield head
    }
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function* readBetween(
  handle: FileHandle,
  start: number,
  end: number,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for (let position = start; position < end; ) {
    throwIfInterrupted(signal)
    const wanted = Math.min(readBytes, end - position)
    const buffer = Buffer.allocUnsafeSlow(wanted)
    const { bytesRead } = await handle.read(buffer, 0, wanted, position).catch((error: unknown) => {
      throw fileError(`read ${name}`, error)
    })
    if (bytesRead === 0)
      throw new CoffreError('ERR_STORE', `${name} ends early, at byte ${position} of ${end}`)
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** So that removed backups leave nothing behind; stops at the first folder that holds something. */
async function removeEmptyFolders(folder: string, root: string): Promise<void> {
  let path = folder
  try {
    while (path !== root) {
      await rmdir(path)
      path = dirname(path)
    }
  } catch {
    // Not empty, or not ours to remove: an empty folder is no object, so nothing depends on it.
  }
  await syncFolders(path, root)
}
