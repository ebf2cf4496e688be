/**
 * The file that a key stands for, and the rule that no way to it leads through a symbolic link.
 * Between the look and the use somebody who may write to the folder can still swap one: see `directory.ts`.
 */
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CoffreError } from '../errors.ts'

export interface StoredFile {
  /** Absolute, without symbolic links, and there. */
  readonly root: string
  /** The path below the root, folder by folder: the key's own segments. */
  readonly segments: readonly string[]
  /** For messages. */
  readonly name: string
}

export function pathOf(file: StoredFile): string {
  return join(file.root, ...file.segments)
}

/** Throws ERR_STORE when a folder on the way to the file is a symbolic link; ENOENT when one is missing. */
export async function assertNoLinks(file: StoredFile): Promise<void> {
  const folder = dirname(pathOf(file))
  if ((await realpath(folder)) !== folder) {
    throw new CoffreError(
      'ERR_STORE',
      `${file.name} lies behind a symbolic link, which coffre does not follow`,
    )
  }
}

/** For a link, a pipe or a device under an object's name. */
export function notAFile(file: StoredFile): CoffreError {
  return new CoffreError('ERR_STORE', `${file.name} is not a regular file`)
}
