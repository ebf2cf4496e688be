/** A repository that is a folder, as somebody sees it who may read and change its files. */
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Every file below a folder, hidden ones too, as sorted relative paths. */
export async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/** What stands for backups in it: `source/id` for every manifest. */
export async function manifestsIn(repository: string): Promise<readonly string[]> {
  return (await filesBelow(repository)).flatMap(
    (path) => /^backups\/(.+)\/manifest\.json$/.exec(path)?.[1] ?? [],
  )
}

/** Puts a folder back to what another holds. */
export async function replaceFolder(folder: string, by: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await cp(by, folder, { recursive: true, preserveTimestamps: true })
}
