/** coffre verify [ID…|--all] */
import { CoffreError } from '../../errors.ts'
import { verify, type VerifyResult } from '../../operations/verify.ts'
import type { Session } from '../session.ts'

export interface VerifyOptions {
  readonly all?: boolean
  readonly source?: string
}

const mismatch = 8
const failed = 1

export async function verifyCommand(
  session: Session,
  ids: readonly string[],
  options: VerifyOptions,
): Promise<void> {
  if (options.all === true && ids.length > 0)
    throw new CoffreError('ERR_USAGE', 'give ids or --all, not both')
  const config = await session.config()
  const repository = await session.repository(config, 'reader')
  const wanted = options.all === true ? undefined : ids.length > 0 ? ids : ['latest']
  const pins = config.recipients.map(({ fingerprint }) => fingerprint)
  const result = await verify(session.context, { repository, ids: wanted, source: options.source, pins })
  session.print(result, describe(result))
  if (!result.ok) session.host.setExitStatus(statusOf(result))
}

/** A store that could not be asked says nothing about the backups. */
function statusOf({ backups }: VerifyResult): number {
  const problems = backups.flatMap((backup) => backup.problems)
  return problems.every(({ code }) => code.startsWith('ERR_STORE')) ? failed : mismatch
}

function describe({ backups }: VerifyResult): string {
  if (backups.length === 0) return 'there is nothing to verify'
  return backups
    .map(({ id, source, ok, problems }) =>
      ok
        ? `${id} ${source}: intact`
        : [
            `${id} ${source}: NOT intact`,
            ...problems.map(({ artifact, message }) => `  ${artifact ?? 'backup'}: ${message}`),
          ].join('\n'),
    )
    .join('\n')
}
