/**
 * Events as people see them: on a terminal one line that moves, with rate and time left; elsewhere a line per stage,
 * and one every ten seconds in a long one.
 */
import { formatDuration } from '../model/duration.ts'
import type { Emit, Stage } from '../observe/events.ts'
import { formatBytes } from './units.ts'
import type { Terminal } from './terminal.ts'
import { visible } from './visible.ts'

const titles: Record<Stage, string> = {
  connecting: 'connecting',
  snapshot: 'locking the tables and taking the snapshot',
  definitions: 'creating types, tables and functions',
  rows: 'reading and sealing',
  inventory: 'sealing the inventory',
  committing: 'signing and committing',
  opening: 'opening the inventory',
  decrypting: 'decrypting',
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
        terminal.say(`coffre: warning: ${visible(event.message)}\ncoffre: hint: ${visible(event.hint)}`)
        break
      case 'note':
        if (quiet) break
        clear()
        terminal.say(visible(event.message))
        break
      case 'stage':
        stage = { name: event.stage, startedAt: now().getTime(), saidAt: now().getTime() }
        if (quiet) break
        if (sayOver === undefined) terminal.say(`${titles[event.stage]} …`)
        else sayOver(`${titles[event.stage]} …`.slice(0, widthOf(terminal.columns)))
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

/** The line with as much in it as fits; never longer than `columns`, since it could not be written over then. */
export function progressLine(
  stage: Stage,
  { doneBytes, totalBytes }: { doneBytes: number; totalBytes: number },
  seconds: number,
  columns: number,
): string {
  const title = titles[stage]
  const share = totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 1
  const rate = seconds > 0 ? doneBytes / seconds : 0
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
  const done = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`
  const left = `${rate > 0 ? formatDuration(Math.max(0, totalBytes - doneBytes) / rate) : '…'} left`
  const tail = ` ${percent}  ${done}  ${formatBytes(rate)}/s  ${left}`
  const room = widthOf(columns)
  const width = Math.min(30, room - title.length - tail.length - 4)
  const bar = width < 8 ? '' : ` ${'█'.repeat(Math.round(share * width)).padEnd(width, '░')}`
  const lines = [
    `${title}${bar}${tail}`,
    `${title} ${percent}  ${done}  ${left}`,
    `${title} ${percent}  ${left}`,
    `${percent}  ${left}`,
    percent,
  ]
  return lines.find((line) => line.length <= room) ?? percent.slice(0, room)
}

/** One less than there is: many terminals begin a new line behind the last column. Some do not know their width. */
function widthOf(columns: number): number {
  return columns > 1 ? columns - 1 : 79
}
