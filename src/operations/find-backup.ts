/** From what somebody typed to one backup whose manifest was checked. */
import { CoffreError } from '../errors.ts'
import { parseBackupId } from '../model/backup-id.ts'
import type { Backup, Repository } from '../repository/repository.ts'

export interface BackupSelector {
  /** A backup's id, or `latest`. */
  readonly id: string
  /** Needed for `latest` where a repository holds several sources. */
  readonly source: string | undefined
}

/** Throws ERR_NO_BACKUP, or ERR_SIGNATURE and ERR_FORMAT for one that cannot be believed. */
export async function findBackup(repository: Repository, { id, source }: BackupSelector): Promise<Backup> {
  const refs = await repository.refs(source)
  if (id !== 'latest') {
    const wanted = parseBackupId(id)
    const ref = refs.find((one) => one.id === wanted)
    if (ref === undefined)
      throw new CoffreError(
        'ERR_NO_BACKUP',
        `there is no backup ${wanted} in ${repository.store.description}`,
      )
    return await repository.read(ref)
  }
  const sources = [...new Set(refs.map((ref) => ref.source))]
  if (sources.length > 1) {
    throw new CoffreError('ERR_USAGE', `latest of which source? there are ${sources.join(', ')}`, {
      hint: 'add --source NAME',
    })
  }
  const newest = refs.at(-1)
  if (newest === undefined) {
    const of = source === undefined ? '' : ` of ${source}`
    throw new CoffreError('ERR_NO_BACKUP', `there is no backup${of} in ${repository.store.description}`, {
      hint: 'coffre backup makes one',
    })
  }
  return await repository.read(newest)
}
