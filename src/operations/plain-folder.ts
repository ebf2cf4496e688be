/**
 * A folder of decrypted files for its owner alone: itself 0700, each file 0600. A file has its name only when it is whole
 * and on the disk; and unless all are kept in the end, everything that was written is removed again.
 */
import { createHash } from 'node:crypto'
import {
  access,
  chmod,
  constants,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  type FileHandle,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asCoffreError, CoffreError } from '../errors.ts'

export interface WrittenFile {
  readonly name: string
  readonly bytes: number
  /** Of the plain bytes. */
  readonly sha256: string
}

export class PlainFolder implements AsyncDisposable {
  readonly path: string
  readonly #made: boolean
  readonly #entries: string[] = []
  #kept = false

  private constructor(path: string, made: boolean) {
    this.path = path
    this.#made = made
  }

  /** Throws ERR_DESTINATION when `create` would; makes nothing. */
  static async check(path: string): Promise<void> {
    const folder = await stat(path).catch(() => undefined)
    if (folder === undefined) await attempt(path, access(dirname(path), constants.W_OK))
    else if ((await attempt(path, readdir(path))).length > 0) throw notEmpty(path)
  }

  /** Throws ERR_DESTINATION when there is something in it, or it cannot be made. */
  static async create(path: string): Promise<PlainFolder> {
    const made = await isThere(path, mkdir(path, { mode: 0o700 }))
    const found = await attempt(path, readdir(path))
    if (found.length > 0) throw notEmpty(path)
    await attempt(path, chmod(path, 0o700))
    return new PlainFolder(path, made)
  }

  /** `name` may have one folder in front. Throws what `content` throws, else ERR_DESTINATION. */
  async write(name: string, content: AsyncIterable<Buffer>): Promise<WrittenFile> {
    const final = join(this.path, name)
    if (dirname(name) !== '.') {
      this.#entries.push(dirname(name))
      await attempt(final, mkdir(dirname(final), { mode: 0o700, recursive: true }))
    }
    const partial = `${final}.partial`
    this.#entries.push(name, `${name}.partial`)
    const file = await attempt(partial, open(partial, 'wx', 0o600))
    try {
      const facts = await fill(file, partial, content)
      await attempt(partial, file.sync())
      await attempt(final, rename(partial, final))
      return { name, ...facts }
    } finally {
      await file.close()
    }
  }

  /** From here on the files stay. */
  async keep(): Promise<void> {
    const folder = await attempt(this.path, open(this.path, 'r'))
    // Some network file systems cannot fsync a folder.
    await folder.sync().catch(() => undefined)
    await folder.close()
    this.#kept = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#kept) return
    for (const entry of new Set(this.#entries))
      await rm(join(this.path, entry), { recursive: true, force: true })
    if (this.#made) await rmdir(this.path).catch(() => undefined)
  }
}

async function fill(
  file: FileHandle,
  path: string,
  content: AsyncIterable<Buffer>,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const digest = createHash('sha256')
  let bytes = 0
  for await (const part of content) {
    digest.update(part)
    bytes += part.length
    await attempt(path, file.writeFile(part))
  }
  return { bytes, sha256: digest.digest('hex') }
}

/** Whether it was made now; false when it was there before. */
async function isThere(path: string, making: Promise<unknown>): Promise<boolean> {
  try {
    await making
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw failed(path, error)
  }
}

async function attempt<T>(path: string, what: Promise<T>): Promise<T> {
  try {
    return await what
  } catch (error) {
    throw failed(path, error)
  }
}

const reasons: ReadonlyMap<unknown, string> = new Map([
  ['ENOSPC', 'there is no room left'],
  ['EDQUOT', 'the quota is used up'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EROFS', 'the file system is read-only'],
  ['ENOENT', 'the folder above it does not exist'],
  ['ENOTDIR', 'it is not a folder'],
])

function failed(path: string, error: unknown): CoffreError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const reason = reasons.get(code) ?? asCoffreError(error).message
  return new CoffreError('ERR_DESTINATION', `cannot write ${path}: ${reason}`, {
    hint: 'name a folder that does not exist yet, on a disk with room for the whole database; nothing was left there',
    cause: error,
  })
}

function notEmpty(path: string): CoffreError {
  return new CoffreError('ERR_DESTINATION', `the folder ${path} is not empty: it is left as it is`, {
    hint: 'name a folder that does not exist yet',
  })
}
