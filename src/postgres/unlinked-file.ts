/**
 * A file without a name: created 0600, unlinked at once, handed to a child as a descriptor it opens by /dev/fd/N.
 * libpq refuses a password from a pipe and pg_restore -j wants to seek, so both need a regular file; this one
 * leaves nothing behind even when the process is killed. On memory-backed storage where there is any.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, open, unlink, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export async function openUnlinkedFile(): Promise<FileHandle> {
  const folder = await access('/dev/shm', constants.W_OK).then(
    () => '/dev/shm',
    () => tmpdir(),
  )
  const path = join(folder, `coffre-${randomBytes(12).toString('hex')}`)
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  await unlink(path)
  return file
}
