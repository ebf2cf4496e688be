/** coffre copy --to REPOSITORY [SOURCE]; and the copies that a backup makes in the same run. */
import type { Config } from '../../config.ts'
import { asCoffreError, CoffreError } from '../../errors.ts'
import { copy, type CopyResult } from '../../operations/copy.ts'
import type { Repository } from '../../repository/repository.ts'
import type { Session } from '../session.ts'
import { formatBytes } from '../units.ts'

export interface CopyOptions {
  readonly to?: string
}

const degraded = 3

export async function copyCommand(
  session: Session,
  source: string | undefined,
  { to }: CopyOptions,
): Promise<void> {
  const config = await session.config()
  const own = session.repositoryConfig(config)
  if (to === undefined || to === own.name) {
    throw new CoffreError('ERR_USAGE', `copy from ${own.name} needs another repository to copy to`, {
      hint: `add --to NAME; the configuration has ${[...config.repositories.keys()].join(', ')}`,
    })
  }
  const from = await session.repository(config, 'reader')
  const result = await copyTo(session, config, from, to, source)
  const { copied, present, failed } = result
  for (const { id, source: of, message } of failed)
    session.context.emit({
      type: 'warning',
      message: `${id} of ${of} was not copied: ${message}`,
      hint: 'coffre verify --all',
    })
  const bytes = copied.reduce((sum, one) => sum + one.bytes, 0)
  session.print(
    result,
    `${copied.length} copied to ${to} (${formatBytes(bytes)}), ${present} were there, ${failed.length} could not be copied`,
  )
  session.host.setExitStatus(failed.length > 0 ? degraded : 0)
}

async function copyTo(
  session: Session,
  config: Config,
  from: Repository,
  name: string,
  source: string | undefined,
): Promise<CopyResult> {
  const store = await session.host.openStore(session.repositoryConfig(config, name), 'writer')
  return await copy(session.context, { from, to: store, root: config.trust.root, source })
}

export interface MadeCopy {
  readonly repository: string
  readonly ok: boolean
  readonly message: string | null
}

/** After a backup: to each repository of `copy_to`. One that fails is told, and holds up nothing. */
export async function makeCopies(
  session: Session,
  config: Config,
  from: Repository,
  source: string,
): Promise<readonly MadeCopy[]> {
  const copies: MadeCopy[] = []
  for (const repository of session.repositoryConfig(config).copyTo) {
    let message: string | null = null
    try {
      const [first] = (await copyTo(session, config, from, repository, source)).failed
      if (first !== undefined) message = `${first.id}: ${first.message}`
    } catch (thrown) {
      const error = asCoffreError(thrown)
      if (error.exitStatus === 130) throw error
      message = error.message
    }
    copies.push({ repository, ok: message === null, message })
    if (message === null) continue
    session.context.emit({
      type: 'warning',
      message: `the backup is made, but not copied to ${repository}: ${message}`,
      hint: `coffre copy --to ${repository} brings over all that is missing`,
    })
  }
  return copies
}
