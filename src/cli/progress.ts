/**
 * Events as people see them: on a terminal one line that moves, with rate and time left; elsewhere a line per stage,
 * and one every ten seconds in a long one.
 */
import type { Emit, Stage } from '../observe/events.ts'
import { formatBytes, formatDuration } from './units.ts'
import type { Terminal } from './terminal.ts'

const titles: Record<Stage, string> = {
  connecting: 'connecting',
  snapshot: 'locking the tables and taking the snapshot',
  definitions: 'creating types, tables and functions',
  rows: 'reading and sealing',
  inventory: 'sealing the inventory',
  committing: 'signing and committing',
  opening: 'opening the inventory',
  loading: 'loading rows',
  indexes: 'building indexes and constraints',
  comparing: 'comparing every row with the snapshot',
  renaming: 'putting the database in its place',
  checking: 'reading back and checking',
}

const quietMs = 10_000
const smoothMs = 100

export interface ProgressOptions {
  readonly terminal: Terminal
  readonly now: () => Date
  readonly quiet: boolean
}

export function progressTeller({ terminal, now, quiet }: ProgressOptions): { emit: Emit; end: () => void } {
  const { sayOver } = terminal
  let stage: { readonly name: Stage; readonly startedAt: number; saidAt: number } | undefined
  const clear = (): void => sayOver?.('')
  const emit: Emit = (event) => {
    switch (event.type) {
      case 'warning':
        clear()
        terminal.say(`coffre: warning: ${event.message}\ncoffre: hint: ${event.hint}`)
        break
      case 'note':
        if (quiet) break
        clear()
        terminal.say(event.message)
        break
      case 'stage':
        stage = { name: event.stage, startedAt: now().getTime(), saidAt: now().getTime() }
        if (quiet) break
        if (sayOver === undefined) terminal.say(`${titles[event.stage]} …`)
        else sayOver(`${titles[event.stage]} …`)
        break
      case 'progress': {
        const at = now().getTime()
        if (quiet || stage === undefined || at - stage.saidAt < (sayOver === undefined ? quietMs : smoothMs))
          break
        stage.saidAt = at
        const line = progressLine(stage.name, event, (at - stage.startedAt) / 1000, terminal.columns)
        if (sayOver === undefined) terminal.say(line)
        else sayOver(line)
        break
      }
    }
  }
  return { emit, end: clear }
}

export function progressLine(
  stage: Stage,
  { doneBytes, totalBytes }: { doneBytes: number; totalBytes: number },
  seconds: number,
  columns: number,
): string {
  const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 1
  const rate = seconds > 0 ? doneBytes / seconds : 0
  const left = rate > 0 ? formatDuration(Math.max(0, totalBytes - doneBytes) / rate) : '…'
  const tail = ` ${String(Math.floor(share * 100)).padStart(3)} %  ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}  ${formatBytes(rate)}/s  ${left} left`
  const width = Math.max(0, Math.min(30, columns - titles[stage].length - tail.length - 4))
  const bar = width < 8 ? '' : ` ${'█'.repeat(Math.round(share * width)).padEnd(width, '░')}`
  return `${titles[stage]}${bar}${tail}`
}
