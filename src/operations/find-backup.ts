/** From what somebody typed to one backup whose manifest was checked. */
import { CoffreError } from '../errors.ts'
import { parseBackupId } from '../model/backup-id.ts'
import { isBroken, newestOf, type Backup, type Repository } from '../repository/repository.ts'
import type { Context } from './context.ts'

export interface BackupSelector {
  /** A backup's id, or `latest`. */
  readonly id: string
  /** Needed for `latest` where a repository holds several sources. */
  readonly source: string | undefined
}

export interface FreshSelector extends BackupSelector {
  /** Refuses what was snapshotted earlier; undefined: however old it is. */
  readonly notOlderThanSeconds?: number | undefined
}

/**
 * The backup to restore, after saying how old it is: a thief of the bucket can hide the newest. Throws as `findBackup`,
 * and ERR_NO_BACKUP when it is too old.
 */
export async function findBackupToRestore(
  { now, emit }: Context,
  repository: Repository,
  { notOlderThanSeconds, ...selector }: FreshSelector,
): Promise<Backup> {
  const backup = await findBackup(repository, selector)
  const { ref, manifest } = backup
  const ageSeconds = (now().getTime() - Date.parse(manifest.snapshotTime)) / 1000
  const age = `${(ageSeconds / 3600).toFixed(1)} hours old`
  emit({ type: 'note', message: `${ref.id} of ${ref.source}, number ${manifest.sequence}, ${age}` })
  if (notOlderThanSeconds === undefined || ageSeconds <= notOlderThanSeconds) return backup
  const limit = `${(notOlderThanSeconds / 3600).toFixed(1)} hours`
  throw new CoffreError('ERR_NO_BACKUP', `${ref.id} is ${age}, and --not-older-than allows ${limit}`, {
    hint: 'see why no newer one is there (is one hidden, or did backups stop?); without --not-older-than it is restored',
  })
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
