/** From what somebody typed to one backup whose manifest was checked. */
import { CoffreError } from '../errors.ts'
import { parseBackupId } from '../model/backup-id.ts'
import { isBroken, newestOf, type Backup, type Repository } from '../repository/repository.ts'

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
  const found = await repository.readAll(source ?? sources[0])
  const newest = newestOf(found)
  const doubtful = found.filter(isBroken).find(({ ref }) => newest === undefined || ref.id > newest.ref.id)
  if (doubtful !== undefined) {
    // Falling back to an older one unasked would hide that the newest was tampered with.
    const { code, message } = doubtful.error
    const hint =
      newest === undefined ? undefined : `${newest.ref.id} is the newest that can be believed: name it`
    throw new CoffreError(
      code,
      `${doubtful.ref.id} cannot be believed: ${message}`,
      hint === undefined ? {} : { hint },
    )
  }
  if (newest === undefined) {
    const of = source === undefined ? '' : ` of ${source}`
    throw new CoffreError('ERR_NO_BACKUP', `there is no backup${of} in ${repository.store.description}`, {
      hint: 'coffre backup makes one',
    })
  }
  return newest
}
