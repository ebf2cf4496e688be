/** coffre list [SOURCE] */
import { formatDuration } from '../../model/duration.ts'
import { list, type ListedBackup } from '../../operations/list.ts'
import type { Session } from '../session.ts'
import { formatBytes, formatTable } from '../units.ts'

export async function listCommand(session: Session, source: string | undefined): Promise<void> {
  const config = await session.config()
  const repository = await session.repository(config, 'reader')
  const result = await list(repository, source)
  const now = session.context.now().getTime()
  const header = ['BACKUP', 'SOURCE', 'AGE', 'SEALED', 'RATIO', 'READABLE BY']
  const rows = result.backups.map((backup) => rowOf(backup, now))
  const text =
    rows.length === 0
      ? `no backups in ${repository.store.description}`
      : formatTable([header, ...rows], [2, 3, 4])
  session.print(result, text)
}

function rowOf(backup: ListedBackup, now: number): readonly string[] {
  const { id, source, snapshotTime, plainBytes, sealedBytes, recipients, problem } = backup
  if (problem !== null || snapshotTime === null || plainBytes === null || sealedBytes === null) {
    return [id, source, '', '', '', `do not use: ${problem?.message ?? 'it cannot be read'}`]
  }
  const age = formatDuration((now - Date.parse(snapshotTime)) / 1000)
  const readers = recipients.map((fingerprint) => fingerprint.slice(-16)).join(' ')
  return [id, source, age, formatBytes(sealedBytes), (plainBytes / sealedBytes).toFixed(1), readers]
}
