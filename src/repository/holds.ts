/** Holds in the repository: which backups are held, by the highest numbered event that an operator signed. */
import { CoffreError } from '../errors.ts'
import { parseHoldEvent, type HoldEvent } from '../model/retention/hold.ts'
import type { SigningKey } from '../openpgp/keys.ts'
import { holdKey, holdOf, holdsFolder, type BackupRef } from './layout.ts'
import { readOperatorSigned, writeOperatorSigned } from './operator-signed.ts'
import type { Repository } from './repository.ts'

export interface Holds {
  /** By backup id: the event in force, of those that are held. */
  readonly held: ReadonlyMap<string, HoldEvent>
  /** What lies there and is no operator's. */
  readonly ignored: readonly CoffreError[]
}

export async function readHolds(repository: Repository): Promise<Holds> {
  const latest = new Map<string, HoldEvent>()
  const ignored: CoffreError[] = []
  for await (const { key } of repository.store.list(holdsFolder)) {
    const place = holdOf(key)
    if (place === undefined || key.endsWith('.asc')) continue
    try {
      const { value } = await readOperatorSigned(repository, key, parseHoldEvent)
      if (value.source !== place.source || value.backup !== place.id || value.number !== place.number)
        throw new CoffreError('ERR_SIGNATURE', `${key} is another hold, moved here`)
      if (value.number > (latest.get(place.id)?.number ?? 0)) latest.set(place.id, value)
    } catch (error) {
      if (!(error instanceof CoffreError) || error.exitStatus !== 8) throw error
      ignored.push(error)
    }
  }
  return { held: new Map([...latest].filter(([, { event }]) => event === 'hold')), ignored }
}

/** Throws ERR_EXISTS when somebody else wrote the next event at the same moment. */
export async function writeHold(
  repository: Repository,
  ref: BackupRef,
  { event, reason }: Pick<HoldEvent, 'event' | 'reason'>,
  key: SigningKey,
  now: Date,
): Promise<HoldEvent> {
  let last = 0
  for await (const object of repository.store.list(`${holdsFolder}${ref.source}/${ref.id}/`))
    last = Math.max(last, holdOf(object.key)?.number ?? 0)
  const number = last + 1
  const written: HoldEvent = {
    type: 'coffre-hold',
    format: 1,
    repository: repository.id,
    source: ref.source,
    backup: ref.id,
    number,
    keyring: repository.trust.current.version,
    event,
    reason,
    at: now.toISOString(),
  }
  await writeOperatorSigned(repository, holdKey(ref, number), written, key, now)
  return written
}
