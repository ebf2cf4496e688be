/**
 * Writes one file so that it is either whole, durable and under its name, or not there at all.
 * The bytes go to a hidden file of the same file system first; a hard link, which refuses an existing name, makes
 * them visible; every folder on the way is fsynced, so the name outlives a power cut as well as the bytes do.
 * Where a name may lead is up to `stored-file.ts`.
 */
import { randomUUID } from 'node:crypto'
import { constants, lstat, link, mkdir, open, readdir, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CoffreError } from '../errors.ts'
import { fileError, isMissing, systemCode } from './file-errors.ts'
import { interruptible, throwIfInterrupted } from './interruptible.ts'
import { assertNoLinks, pathOf, type StoredFile } from './stored-file.ts'

/** The hidden folder of what is still being written. It starts with a dot, so no key can name it. */
export const partialFolder = '.partial'

/** A partial file that nobody has written to for so long belongs to a run that was killed. */
const abandonedAfterMs = 24 * 60 * 60 * 1000

/**
 * Resolves with the size once the file is durable and visible. ERR_EXISTS when the name is taken; on any failure
 * nothing is visible and the partial file is gone. Errors of the body pass unchanged.
 */
export async function writeDurably(
  file: StoredFile,
  body: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const target = pathOf(file)
  throwIfInterrupted(signal)
  if (await isTaken(file)) throw alreadyThere(file.name)
  const partial = join(file.root, partialFolder, randomUUID())
  const handle = await openPartial(file, partial)
  try {
    let sizeBytes: number
    try {
      sizeBytes = await fill(handle, file.name, interruptible(body, signal))
    } finally {
      await handle.close()
    }
    throwIfInterrupted(signal)
    await publish(file, partial, target)
    return sizeBytes
  } finally {
    await unlink(partial).catch(() => undefined)
  }
}

/** Makes what is in the folders durable, from `folder` up to the root. */
export async function syncFolders(folder: string, root: string): Promise<void> {
  for (let path = folder; ; path = dirname(path)) {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await handle.sync()
    } catch (error) {
      // Some network file systems cannot fsync a folder, and answer so.
      if (systemCode(error) !== 'EINVAL') throw error
    } finally {
      await handle.close()
    }
    if (path === root || path === dirname(path)) return
  }
}

/** Removes partial files of runs that were killed. Trouble is left to the next time. */
export async function sweepAbandoned(root: string, nowMs: number): Promise<void> {
  await sweepPartial(root, nowMs - abandonedAfterMs)
}

/** Removes partial files that nobody wrote to since; how many. Trouble is left to the next time. */
export async function sweepPartial(root: string, beforeMs: number): Promise<number> {
  let swept = 0
  const folder = join(root, partialFolder)
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    const path = join(folder, name)
    const stat = await lstat(path).catch(() => undefined)
    if (stat?.isFile() !== true || stat.mtimeMs >= beforeMs) continue
    swept += await unlink(path).then(
      () => 1,
      () => 0,
    )
  }
  return swept
}

async function isTaken(file: StoredFile): Promise<boolean> {
  try {
    await assertNoLinks(file)
    await lstat(pathOf(file))
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw fileError(`look for ${file.name}`, error)
  }
}

async function openPartial(file: StoredFile, partial: string): Promise<FileHandle> {
  try {
    await makeFolders(file.root, [partialFolder])
    return await open(partial, 'wx', 0o600)
  } catch (error) {
    throw fileError(`write ${file.name}`, error)
  }
}

async function fill(handle: FileHandle, name: string, body: AsyncIterable<Buffer>): Promise<number> {
  let sizeBytes = 0
  for await (const chunk of body) {
    try {
      for (let written = 0; written < chunk.length; ) {
        written += (await handle.write(chunk, written)).bytesWritten
      }
    } catch (error) {
      throw fileError(`write ${name}`, error)
    }
    sizeBytes += chunk.length
  }
  try {
    await handle.sync()
  } catch (error) {
    throw fileError(`write ${name}`, error)
  }
  return sizeBytes
}

async function publish(file: StoredFile, partial: string, target: string): Promise<void> {
  const folder = dirname(target)
  try {
    await linkIntoPlace(file, partial, target)
    await syncFolders(folder, file.root).catch(async (error: unknown) => {
      await unlink(target)
      throw error
    })
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw alreadyThere(file.name)
    throw fileError(`write ${file.name}`, error)
  }
}

/** A concurrent delete may take the emptied folder away between making it and linking into it: then again. */
async function linkIntoPlace(file: StoredFile, partial: string, target: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await makeFolders(file.root, file.segments.slice(0, -1))
      await link(partial, target)
      return
    } catch (error) {
      const code = systemCode(error)
      if (code === 'ENOENT' && attempt < 5) continue
      // The file is our own, so EPERM is not about rights: Linux answers so where there are no hard links.
      if (code === 'EPERM' || code === 'EOPNOTSUPP' || code === 'ENOSYS') throw withoutLinks(file, error)
      throw error
    }
  }
}

/**
 * One level at a time, each looked at before the next: a symbolic link among them is refused, so that nothing
 * is ever made outside the root.
 */
async function makeFolders(root: string, segments: readonly string[]): Promise<void> {
  let path = root
  for (const segment of segments) {
    path = join(path, segment)
    await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error
    })
    if (!(await lstat(path)).isDirectory()) {
      throw new CoffreError('ERR_STORE', `${path} is not a folder, or is a symbolic link`)
    }
  }
}

function alreadyThere(name: string): CoffreError {
  return new CoffreError('ERR_EXISTS', `${name} already exists`)
}

function withoutLinks(file: StoredFile, cause: unknown): CoffreError {
  return new CoffreError('ERR_STORE', `the file system of ${file.root} cannot make hard links`, {
    hint: 'coffre needs them to refuse an overwrite: use another file system (exFAT and FAT have none)',
    cause,
  })
}
