/** coffre prune [--dry-run] */
import { CoffreError } from '../../errors.ts'
import { prune, type PruneResult } from '../../operations/prune.ts'
import type { Session } from '../session.ts'
import { formatBytes, formatTable } from '../units.ts'

export interface PruneOptions {
  readonly dryRun?: boolean
  readonly maxRemoveFraction?: number
}

const degraded = 3
const refusedByGuard = 11

export async function pruneCommand(session: Session, options: PruneOptions): Promise<void> {
  const config = await session.config()
  const { retention, name } = session.repositoryConfig(config)
  if (retention === undefined) {
    throw new CoffreError('ERR_CONFIG', `${config.file} says nothing about what to keep in ${name}`, {
      hint: 'add retention: {daily: 7, weekly: 4, monthly: 12, yearly: all, timezone: UTC}',
    })
  }
  const dryRun = options.dryRun === true
  const repository = await session.repository(config, dryRun ? 'reader' : 'pruner')
  const result = await prune(session.context, {
    repository,
    policy: {
      ...retention,
      maxRemoveFraction: options.maxRemoveFraction ?? retention.maxRemoveFraction,
    },
    dryRun,
    signingKey: dryRun ? undefined : await session.operatorKey(config),
    isProven: () => false,
  })
  for (const message of result.alarms)
    session.context.emit({
      type: 'warning',
      message,
      hint: 'look at it: coffre show ID, coffre verify --all; retention counts without it',
    })
  for (const { source, guard } of result.refused)
    session.context.emit({
      type: 'warning',
      message: `nothing of ${source} is removed: ${guard}`,
      hint: 'coffre prune --dry-run shows what would go; --max-remove-fraction allows more for one run',
    })
  session.print(result, text(result))
  session.host.setExitStatus(statusOf(result))
}

function statusOf({ refused, alarms }: PruneResult): number {
  if (refused.length > 0) return refusedByGuard
  return alarms.length > 0 ? degraded : 0
}

function text(result: PruneResult): string {
  const { dryRun, keep, remove, removedObjects, removedBytes, sweptUploads } = result
  const line = (word: string) => (one: PruneResult['keep'][number]) => [
    word,
    one.id,
    one.source,
    one.reasons.join('; '),
  ]
  const rows = [...keep.map(line('keep')), ...remove.map(line('remove'))]
  const table = rows.length === 0 ? 'there are no backups' : formatTable(rows, [])
  const done = dryRun
    ? `${remove.length} would be removed, ${keep.length} kept; nothing was touched`
    : `${remove.length} removed, ${keep.length} kept: ${removedObjects} objects, ${formatBytes(removedBytes)}, ${sweptUploads} unfinished uploads`
  return `${table}\n\n${done}`
}
