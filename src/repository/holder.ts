/**
 * Who holds a lease. A run that was killed never releases its own; where another run can tell for certain that the
 * process is gone, it need not wait for the expiry. That is so on the same machine since it was booted, seen from the same
 * process namespace (two containers may both have a process 7). Anywhere else nothing is known, and waiting is right.
 */
import { createHash } from 'node:crypto'
import { readFile, readlink } from 'node:fs/promises'
import { z } from 'zod'

export const holderProcessSchema = z.strictObject({
  /** Of the boot and the process namespace; a hash, as repositories are read by others. */
  place: z.string().regex(/^[0-9a-f]{32}$/),
  pid: z.number().int().positive(),
  /** In clock ticks since boot: with the pid, the same process and no other. */
  startedAt: z.string().regex(/^\d{1,20}$/),
})
export type HolderProcess = z.infer<typeof holderProcessSchema>

export interface Holder {
  /** For the message others get: program, host, process. */
  readonly name: string
  /** Undefined where the system does not tell (it is not Linux). */
  readonly process: HolderProcess | undefined
  /** Only true when it is certain. */
  readonly isGone: (other: HolderProcess) => Promise<boolean>
}

/** `exists`: whether the system knows a process with that id, whoever's it is (kill(2) with signal 0). */
export async function thisHolder(
  name: string,
  pid: number,
  exists: (pid: number) => boolean,
): Promise<Holder> {
  const place = await placeOf()
  const own = await readStat(pid)
  const process =
    place === undefined || own === undefined ? undefined : { place, pid, startedAt: own.startedAt }
  const isGone = async (other: HolderProcess): Promise<boolean> => {
    if (other.place !== place) return false
    if (!exists(other.pid)) return true
    const found = await readStat(other.pid)
    // Another user's process may be hidden (proc(5), hidepid): then it is there and tells nothing.
    return found !== undefined && (found.startedAt !== other.startedAt || found.ended)
  }
  return { name, process, isGone }
}

async function placeOf(): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const namespace = await readlink('/proc/self/ns/pid')
    return createHash('sha256').update(`${boot} ${namespace}`).digest('hex').slice(0, 32)
  } catch {
    return undefined
  }
}

/** Fields 3 (state) and 22 (start time) of proc_pid_stat(5); the name before them may hold anything. */
async function readStat(pid: number): Promise<{ startedAt: string; ended: boolean } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const startedAt = fields[19]
  return startedAt === undefined ? undefined : { startedAt, ended: fields[0] === 'Z' || fields[0] === 'X' }
}
