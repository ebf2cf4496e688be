/** What the bench found, as plain data: the printed tables, the page and the chart are all made of it. */
import { median, ratioOf, type Ratio, type Round } from './rounds.ts'
import type { Run } from './data-set-bench.ts'
import type { Contestant } from './contestants.ts'

export interface Placing {
  readonly name: string
  readonly what: string
  /** To the table's yardstick, within a round. */
  readonly ratio: Ratio
  /** Medians of all its runs. */
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly serverCpuSeconds: number
  readonly peakBytes: number
  /** Of the last run; 0 where nothing is kept. */
  readonly storedBytes: number
  readonly runs: number
}

export interface Table {
  readonly title: string
  readonly yardstick: string
  readonly rounds: number
  readonly placings: readonly Placing[]
  readonly missing: readonly string[]
  /** What a backup of it holds before it is compressed; undefined for restores. */
  readonly plainBytes: number | undefined
}

/** One backup and one restore at each size. */
export interface Growth {
  readonly what: string
  readonly plainBytes: number
  readonly backup: Run
  readonly toS3: Run
  readonly restore: Run
}

export interface Results {
  readonly machine: readonly (readonly [fact: string, value: string])[]
  readonly jobs: number
  readonly backups: readonly Table[]
  readonly restores: Table
  readonly growth: readonly Growth[]
}

export function placingsOf(
  runs: readonly Run[],
  rounds: readonly Round[],
  contestants: readonly Contestant[],
  yardstick: string,
): readonly Placing[] {
  return contestants.flatMap(({ name, what }) => {
    const ratio = ratioOf(rounds, name, yardstick)
    const own = runs.filter((run) => run.name === name)
    if (ratio === undefined) return []
    const mid = (value: (run: Run) => number): number => median(own.map(value))
    return [
      {
        name,
        what,
        ratio,
        wallSeconds: mid((run) => run.wallSeconds),
        cpuSeconds: mid((run) => run.cpuSeconds),
        serverCpuSeconds: mid((run) => run.serverCpuSeconds),
        peakBytes: mid((run) => run.peakBytes),
        storedBytes: own.at(-1)?.storedBytes ?? 0,
        runs: own.length,
      },
    ]
  })
}
