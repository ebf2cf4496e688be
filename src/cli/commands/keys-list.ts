/** coffre keys list: ends with 3 where something is to be done about a key that new backups are sealed to. */
import { listKeys, type ListedKey } from '../../operations/list-keys.ts'
import type { Session } from '../session.ts'
import { formatTable } from '../units.ts'

const degraded = 3

export async function keysListCommand(session: Session): Promise<void> {
  const config = await session.config()
  const repository = await session.repository(config, 'reader')
  const result = await listKeys(session.context, repository)
  const header = ['KEY', 'OWNER', 'NEW BACKUPS', 'EXPIRES', 'OPENS', 'TO DO']
  session.print(result, formatTable([header, ...result.keys.map(rowOf)], [4]))
  if (result.keys.some(({ warning }) => warning !== null)) session.host.setExitStatus(degraded)
}

function rowOf({ fingerprint, userId, inForce, expiresAt, opens, warning }: ListedKey): readonly string[] {
  const expires = expiresAt?.slice(0, 10) ?? 'never'
  return [fingerprint, userId ?? '', inForce ? 'yes' : 'no', expires, String(opens.length), warning ?? '']
}
