/**
 * Looks, before a backup writes anything, for all that would make it fail or be incomplete; the decisions are
 * postgres/preflight.ts. Leaves nothing behind, neither on the source nor in the repository.
 */
import type { ServerAccess } from '../postgres/conninfo.ts'
import { judgePreflight, refusal, type BackupNeeds } from '../postgres/preflight.ts'
import { readPreflightFacts } from '../postgres/preflight-facts.ts'
import { PsqlSession, type SessionOptions } from '../postgres/psql-session.ts'
import { reachOneServer } from '../postgres/same-server.ts'
import type { Context } from './context.ts'

/**
 * How to reach the source during the backup, always the same server. What will be missing is emitted as warnings. Throws
 * ERR_SOURCE with all that stands in the way, and ERR_CONNECT.
 */
export async function preflight(
  context: Context,
  access: ServerAccess,
  options: SessionOptions & BackupNeeds,
): Promise<ServerAccess> {
  const reached = await reachOneServer(access, options)
  const session = await PsqlSession.open(reached, options)
  try {
    const findings = judgePreflight(await readPreflightFacts(session), options)
    const refused = refusal(findings)
    if (refused !== undefined) throw refused
    for (const { message, hint } of findings) context.emit({ type: 'warning', message, hint })
  } finally {
    session.kill()
  }
  return reached
}
