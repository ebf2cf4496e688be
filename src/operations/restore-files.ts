/**
 * restore to a folder: every artifact of a backup decrypted, decompressed and found equal to the signed manifest, as files
 * that stock psql and pg_restore load, with a page that says how. No server is asked. All of it comes, or nothing.
 */
import type { Identity } from '../openpgp/keys.ts'
import { loadGuide, loadGuideName } from '../repository/load-guide.ts'
import type { Repository } from '../repository/repository.ts'
import type { Context } from './context.ts'
import { findBackupToRestore, type FreshSelector } from './find-backup.ts'
import { OpenedBackup } from './opened-backup.ts'
import { PlainFolder, type WrittenFile } from './plain-folder.ts'

export interface RestoreFilesRequest {
  readonly repository: Repository
  readonly selector: FreshSelector
  readonly identity: Identity
  /** An absolute path; it must not exist, or be empty. */
  readonly directory: string
  /** Everything is looked at, and nothing is made. */
  readonly dryRun: boolean
}

export interface RestoreFilesResult {
  readonly ok: true
  readonly dryRun: boolean
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly tables: number
  readonly rows: number
  readonly durationSeconds: number
  /** What the definitions and rows come to when they are decrypted. */
  readonly plainBytes: number
  readonly files: readonly WrittenFile[]
}

/** Throws ERR_DESTINATION where the folder will not do, and whatever opening an artifact throws. */
export async function restoreFiles(
  context: Context,
  { repository, selector, identity, directory, dryRun }: RestoreFilesRequest,
): Promise<RestoreFilesResult> {
  const startedAt = context.now()
  const backup = await findBackupToRestore(context, repository, selector)
  const { manifest, ref } = backup
  const opened = new OpenedBackup(repository, backup, identity, context.signal)
  context.emit({ type: 'stage', stage: 'opening' })
  const inventory = await opened.inventory()
  const files = dryRun ? await lookOnly(directory) : await writeFiles(context, opened, directory)
  return {
    ok: true,
    dryRun,
    id: ref.id,
    source: ref.source,
    destination: directory,
    tables: inventory.tables.length,
    rows: inventory.tables.reduce((sum, { rows }) => sum + rows, 0),
    durationSeconds: (context.now().getTime() - startedAt.getTime()) / 1000,
    plainBytes: manifest.plainBytes,
    files,
  }
}

async function lookOnly(directory: string): Promise<readonly WrittenFile[]> {
  await PlainFolder.check(directory)
  return []
}

async function writeFiles(
  context: Context,
  opened: OpenedBackup,
  directory: string,
): Promise<readonly WrittenFile[]> {
  const { manifest } = opened.backup
  await using folder = await PlainFolder.create(directory)
  const totalBytes = manifest.artifacts.reduce((sum, { bytes }) => sum + bytes, 0)
  const files: WrittenFile[] = []
  let doneBytes = 0
  context.emit({ type: 'stage', stage: 'decrypting' })
  for (const artifact of manifest.artifacts) {
    context.signal.throwIfAborted()
    files.push(await folder.write(plainName(artifact.name), opened.plain(artifact)))
    doneBytes += artifact.bytes
    context.emit({ type: 'progress', stage: 'decrypting', doneBytes, totalBytes })
  }
  await folder.write(loadGuideName, once(Buffer.from(loadGuide(manifest, files))))
  await folder.keep()
  return files
}

/** `rows/0001.sql.zst.gpg` → `rows/0001.sql`: the names RESTORE.md gives them too. */
function plainName(artifact: string): string {
  return artifact.replace(/\.(zst|gz)\.gpg$/, '')
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
