/**
 * Everything a program and its children put into files, as the kernel is told it (strace): the bytes of every write,
 * whatever the file is named and however short it stands, and the names that are made. Pipes, sockets and devices are
 * no files. What was written with a compressor's magic at its beginning is read decompressed too.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib'

export interface WatchedRun {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  /** Path to what was written there, one write after another; a path ends in `(deleted)` when it had no name. */
  readonly files: ReadonlyMap<string, Buffer>
  /** Of files, folders and links that were made or moved. */
  readonly names: readonly string[]
}

export interface Watched {
  readonly strace: ChildProcess
  readonly ended: Promise<WatchedRun>
}

/** Writes, ways around writing, and calls that make names. */
const writing = 'write,pwrite64,writev,pwritev,pwritev2'
const around = 'sendfile,copy_file_range,splice,io_uring_setup,mmap'
const naming = 'creat,open,openat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat'
const longestWriteBytes = 8 * 1024 * 1024

/** Starts a program under watch. It is the only child of `strace`. */
export async function watchWrites(
  command: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Watched> {
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-watch-'))
  const log = join(folder, 'log')
  const words = ['-f', '-qq', '-y', '-xx', '-s', String(longestWriteBytes)]
  const strace = spawn(
    'strace',
    [...words, '-e', `trace=${writing},${around},${naming}`, '-e', 'signal=none', '-o', log, ...command],
    { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stdout = ''
  let stderr = ''
  strace.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString('utf8')))
  strace.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  const ended = (async () => {
    try {
      const [status] = (await once(strace, 'close')) as [number | null]
      return { status, stdout, stderr, ...readLog(await readFile(log, 'latin1')) }
    } finally {
      await rm(folder, { recursive: true })
    }
  })()
  ended.catch(() => undefined)
  return { strace, ended }
}

/** Where `marker` was written: `PATH` or `PATH, decompressed`, or `the name NAME`. */
export function tracesOf(marker: string, { files, names }: Pick<WatchedRun, 'files' | 'names'>): string[] {
  const found = names.filter((name) => name.includes(marker)).map((name) => `the name ${name}`)
  for (const [path, bytes] of files) {
    if (bytes.includes(marker)) found.push(path)
    if (decompressed(bytes)?.includes(marker) === true) found.push(`${path}, decompressed`)
  }
  return found
}

/** As far as it goes: a file that was cut short counts too. */
function decompressed(bytes: Buffer): Buffer | undefined {
  try {
    if (bytes.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd])))
      return zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush })
    if (bytes.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b])))
      return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
  } catch {
    // Random bytes may begin like a magic.
  }
  return undefined
}

function readLog(log: string): { files: ReadonlyMap<string, Buffer>; names: readonly string[] } {
  const parts = new Map<string, Buffer[]>()
  const names: string[] = []
  for (const line of log.split('\n')) {
    const call = /^\d+ +(\w+)\(/.exec(line)?.[1]
    if (call === undefined) continue
    assert.doesNotMatch(line, /"\.\.\./, 'a write was longer than the watch sees')
    if (writing.split(',').includes(call)) {
      const path = fileOf(line)
      if (path !== undefined) parts.set(path, [...(parts.get(path) ?? []), ...stringsIn(line)])
    } else if (around.split(',').includes(call)) {
      assertNotAround(call, line)
    } else if (!call.startsWith('open') || line.includes('O_CREAT')) {
      names.push(...stringsIn(line).map((name) => name.toString('utf8')))
    }
  }
  return { files: new Map([...parts].map(([path, bytes]) => [path, Buffer.concat(bytes)])), names }
}

/** Ways past `write` that the watch cannot read: nobody may take them into a file. */
function assertNotAround(call: string, line: string): void {
  if (call === 'mmap') {
    const written = /PROT_WRITE.*MAP_SHARED(?!.*MAP_ANONYMOUS)/.test(line)
    assert.ok(!written, `a file is mapped for writing: ${fileOf(line)}`)
    return
  }
  // An io_uring that libuv only asks for, to learn that there is none for it, writes nothing.
  if (call === 'io_uring_setup') assert.match(line, / = -1 |unfinished/, 'an io_uring is in use')
  else assert.fail(`${call} is in use: ${fileOf(line)}`)
}

/** The first descriptor's path, where it is that of a file. */
function fileOf(line: string): string | undefined {
  const path = unhex(/\d<((?:\\x[0-9a-f]{2})+)>/.exec(line)?.[1] ?? '').toString('utf8')
  const isFile = path.startsWith('/') && !/^\/(?:dev\/(?:null|tty|pts\/|random|urandom)|proc\/)/.test(path)
  const deleted = /\d<(?:\\x[0-9a-f]{2})+>\(deleted\)/.test(line) ? ' (deleted)' : ''
  return isFile ? `${path}${deleted}` : undefined
}

function stringsIn(line: string): Buffer[] {
  return [...line.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, text = '']) => unhex(text))
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}
