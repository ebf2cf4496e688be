/** coffre hold ID --reason …, coffre release ID --reason … */
import { CoffreError } from '../../errors.ts'
import type { HoldEvent } from '../../model/retention/hold.ts'
import { hold } from '../../operations/hold.ts'
import type { Session } from '../session.ts'

export interface HoldOptions {
  readonly reason?: string
  readonly source?: string
}

export async function holdCommand(
  session: Session,
  event: HoldEvent['event'],
  id: string,
  { reason, source }: HoldOptions,
): Promise<void> {
  const config = await session.config()
  const said = reason?.trim() ?? (event === 'release' ? 'released' : '')
  if (said === '' || said.length > 500) {
    throw new CoffreError('ERR_USAGE', 'a hold needs a reason of at most 500 characters', {
      hint: 'coffre hold ID --reason "case 2026/17"; it is not encrypted: name nobody in it',
    })
  }
  const signingKey = await session.operatorKey(config)
  if (signingKey === undefined) {
    throw new CoffreError(
      'ERR_CONFIG',
      'holds are signed by an operator, and no operator’s key is configured',
      {
        hint: 'add operator: {key_file: …}',
      },
    )
  }
  const repository = await session.repository(config, 'pruner')
  const result = await hold(session.context, { repository, id, source, event, reason: said, signingKey })
  const done = result.held ? 'is held: nothing removes it until it is released' : 'is no longer held'
  session.print(result, `${result.id} of ${result.source} ${done}`)
}
