/**
 * Everything that coffre and its children write, and everything they start, as the kernel sees it (strace): which file
 * each write went to, named or nameless, and with which arguments and environment each program ran. Nothing is polled, so
 * nothing is missed: not what is there for a moment only.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

export interface Write {
  readonly path: string
  /** The file had a name no more when it was written to. */
  readonly nameless: boolean
  /** What was written, other bytes than ASCII as octal escapes. */
  readonly text: string
  readonly bytes: number
}

export interface Watched {
  /** To regular files only: neither pipes nor sockets nor /dev/null. */
  readonly writes: readonly Write[]
  /** Each program that was started: arguments and environment, as strace prints them. */
  readonly programs: readonly string[]
  /** Ways to write that the above would not show: shared mappings of files, copies within the kernel. */
  readonly unseen: readonly string[]
}

const writing = 'write,pwrite64,writev,pwritev,pwritev2'
const otherwise = 'sendfile,copy_file_range,splice,tee,vmsplice,mmap,memfd_create,fallocate'

/** For `under` of a coffre that is started; `log` is read when all of it has ended. */
export function watching(log: string): readonly string[] {
  const calls = `trace=${writing},${otherwise},execve`
  return ['strace', '-f', '--seccomp-bpf', '-qq', '-y', '-v', '-s', '4194304', '-o', log, '-e', calls]
}

export function readWatch(log: string): Watched {
  const lines = readFileSync(log, 'latin1').split('\n')
  const watched = {
    writes: lines.flatMap(writeIn),
    programs: lines.filter((line) => /^\d+ +execve\(/.test(line)),
    unseen: lines.filter((line) => isUnseen(line)),
  }
  assert.ok(watched.programs.length > 0, 'strace saw nothing')
  return watched
}

/** `123 write(5</path>(deleted), "text", 7) = 7`; a call that another thread interrupted ends in `<unfinished ...>`. */
function writeIn(line: string): readonly Write[] {
  const match = /^\d+ +(?:p?write(?:64|v|v2)?)\(\d+<([^>]*)>(\(deleted\))?, (.*)$/.exec(line)
  if (match === null) return []
  const [, path = '', deleted, rest = ''] = match
  if (!path.startsWith('/') || path === '/dev/null') return []
  const lengths = [...rest.matchAll(/iov_len=(\d+)/g)].map(([, length]) => Number(length))
  const [, single] = /", (\d+)(?:[,)]| <unfinished)/.exec(rest) ?? []
  const bytes = lengths.length > 0 ? lengths.reduce((sum, length) => sum + length, 0) : Number(single)
  return [{ path, nameless: deleted !== undefined, text: rest, bytes }]
}

/** The engine's own ring is no file. Mappings that are private or only read write nothing. */
function isUnseen(line: string): boolean {
  if (/^\d+ +mmap\(/.test(line)) {
    return /PROT_WRITE/.test(line) && /MAP_SHARED/.test(line) && /, \d+<\//.test(line)
  }
  return /^\d+ +(sendfile|copy_file_range|splice|tee|vmsplice|memfd_create|fallocate)\(/.test(line)
}
