/** coffre backup [SOURCE…] */
import { asCoffreError, CoffreError } from '../../errors.ts'
import { formatDuration } from '../../model/duration.ts'
import { backup, type BackupResult } from '../../operations/backup.ts'
import { resolveLevel } from '../../pipeline/compression.ts'
import { errorDocument, sayError } from '../errors.ts'
import { chosenSources, sourceAccess, type Session } from '../session.ts'
import { formatBytes } from '../units.ts'
import { makeCopies, type MadeCopy } from './copy.ts'

const degraded = 3

export async function backupCommand(session: Session, names: readonly string[]): Promise<void> {
  const config = await session.config()
  const sources = chosenSources(config, names)
  const repository = await session.repository(config, 'writer')
  const signingKey = await session.signingKey(config)
  const results: (BackupResult & { readonly copies: readonly MadeCopy[] })[] = []
  const failures: { source: string; error: CoffreError }[] = []
  for (const source of sources) {
    try {
      const result = await backup(session.context, {
        source: { ...source, access: sourceAccess(source) },
        repository,
        signingKey,
        pins: config.recipients.map(({ fingerprint }) => fingerprint),
        onExpired: config.keys.onExpired,
        compression: resolveLevel(config.compression.algorithm, config.compression.level),
      })
      const copies = await makeCopies(session, config, repository, source.name)
      const lost = copies.flatMap(({ message }) => (message === null ? [] : [message]))
      results.push({ ...result, copies, warnings: [...result.warnings, ...lost] })
      if (sources.length > 1) session.say(`${source.name}: ${summary(result)}`)
    } catch (thrown) {
      const error = asCoffreError(thrown)
      if (sources.length === 1 || error.exitStatus === 130) throw error
      failures.push({ source: source.name, error })
      sayError(session.host.terminal, error, `${source.name}: `)
    }
  }
  const [only] = results
  if (sources.length === 1 && only !== undefined) session.print(only, summary(only))
  else {
    const failed = failures.map(({ source, error }) => ({ source, ...errorDocument(error) }))
    session.print({ backups: results, failed }, `${results.length} of ${sources.length} sources backed up`)
  }
  const statuses = [
    ...failures.map(({ error }) => error.exitStatus),
    ...results.map(({ warnings }) => (warnings.length > 0 ? degraded : 0)),
  ]
  session.host.setExitStatus(worst(statuses))
}

/** A failure outweighs a degraded success. */
function worst(statuses: readonly number[]): number {
  const failures = statuses.filter((status) => status !== 0 && status !== degraded)
  return failures.length > 0 ? Math.max(...failures) : Math.max(0, ...statuses)
}

function summary({
  id,
  tables,
  rows,
  plainBytes,
  sealedBytes,
  ratio,
  durationSeconds,
}: BackupResult): string {
  const rate = formatBytes(plainBytes / Math.max(durationSeconds, 0.001))
  return `${id}  ${tables} tables, ${rows} rows, ${formatBytes(plainBytes)} sealed into ${formatBytes(sealedBytes)} (${ratio.toFixed(1)} to 1) in ${formatDuration(durationSeconds)}, ${rate}/s`
}
