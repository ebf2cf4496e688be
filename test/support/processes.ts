/** The processes below one of ours, as /proc shows them: what a run has started, and whether it is gone. */
import { readdirSync, readFileSync } from 'node:fs'

export interface ChildProcess {
  readonly pid: number
  readonly name: string
  /** In clock ticks since boot: with the pid, the same process and no other. */
  readonly startedAt: string
}

interface Stat extends ChildProcess {
  readonly parent: number
  readonly state: string
}

/** Fields 1, 2, 3, 4 and 22 of proc_pid_stat(5); the name may hold blanks and parentheses. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const end = text.lastIndexOf(')')
    const [state = '', parent = ''] = text.slice(end + 2).split(' ')
    const startedAt = text.slice(end + 2).split(' ')[19] ?? ''
    return { pid, name: text.slice(text.indexOf('(') + 1, end), state, parent: Number(parent), startedAt }
  } catch {
    return undefined
  }
}

/** Children, their children and so on, while `pid` runs. */
export function descendantsOf(pid: number): readonly ChildProcess[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? [])
  const below = (parent: number): readonly Stat[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)])
  return below(pid)
}

/** A zombie only waits for its parent to ask how it ended: it runs no more. */
export function isRunning({ pid, startedAt }: ChildProcess): boolean {
  const now = statOf(pid)
  return now !== undefined && now.startedAt === startedAt && now.state !== 'Z'
}
