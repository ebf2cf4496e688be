/**
 * One command, run and measured: wall time, processor time of everything it started, and the peak of resident memory of
 * all its processes together. Memory is the sum of the proportional sets (Pss, proc_pid_smaps(5)), so that a library that
 * five processes share counts once; it is sampled, so that a peak shorter than the interval can be missed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

export interface Measured {
  readonly wallSeconds: number
  /** User and system time of the command and all children it waited for. */
  readonly cpuSeconds: number
  readonly peakBytes: number
  /** The peak of each program by its name: the sum over all processes of that name. */
  readonly peakByProgram: Readonly<Record<string, number>>
  readonly stdout: string
}

export interface CommandOptions {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** Looking through the memory of a large process takes the processor that it wants itself: a hundred times in ten seconds was to be seen. */
const sampleEveryMs = 500

/** Runs `script` by bash with pipefail. Throws when it fails: a contestant that failed has no time. */
export async function watchCommand(script: string, options: CommandOptions): Promise<Measured> {
  const timed = `set -euo pipefail; TIMEFORMAT='coffre-bench %R %U %S'; time {\n${script}\n}`
  const child = spawn('bash', ['-c', timed], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString('utf8')))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  const memory = new MemoryPeak(child.pid ?? 0)
  const timer = setInterval(() => memory.sample(), sampleEveryMs)
  const [status] = (await once(child, 'close')) as [number | null]
  clearInterval(timer)
  const times = /^coffre-bench ([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(stderr)
  if (status !== 0 || times === null) throw new Error(`${script}\nended with status ${status}: ${stderr}`)
  const [, wall = '', user = '', system = ''] = times
  return {
    wallSeconds: Number(wall),
    cpuSeconds: Number(user) + Number(system),
    peakBytes: memory.peakBytes,
    peakByProgram: memory.peakByProgram(),
    stdout,
  }
}

class MemoryPeak {
  peakBytes = 0
  readonly #root: number
  readonly #programs = new Map<string, number>()

  constructor(root: number) {
    this.#root = root
  }

  sample(): void {
    const now = new Map<string, number>()
    for (const pid of tree(this.#root)) {
      const program = read(`/proc/${pid}/comm`).trim()
      const [, kilobytes = '0'] = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`)) ?? []
      now.set(program, (now.get(program) ?? 0) + Number(kilobytes) * 1024)
    }
    let sum = 0
    for (const [program, bytes] of now) {
      sum += bytes
      this.#programs.set(program, Math.max(bytes, this.#programs.get(program) ?? 0))
    }
    this.peakBytes = Math.max(this.peakBytes, sum)
  }

  peakByProgram(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#programs)
  }
}

/** A process that has ended meanwhile has nothing to read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function tree(root: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = read(`/proc/${name}/stat`)
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const below = (pid: number): readonly number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)]
  return below(root)
}

/** Processor seconds that a server has used so far: its own, its children's, and those of children that have ended. */
export function serverCpuSeconds(postmaster: number): number {
  const ticks = tree(postmaster).map((pid) => {
    const stat = read(`/proc/${pid}/stat`)
    // One that has ended meanwhile counts with the postmaster's children.
    if (stat === '') return 0
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Fields 14 to 17 of proc_pid_stat(5): utime, stime, cutime, cstime.
    const own = Number(fields[11]) + Number(fields[12])
    return pid === postmaster ? own + Number(fields[13]) + Number(fields[14]) : own
  })
  return ticks.reduce((sum, one) => sum + one, 0) / 100
}
