/**
 * Starts PostgreSQL's client programs (psql, pg_dump, pg_dumpall, pg_restore), directly or behind a command prefix,
 * never through a shell. A program that does not end with status 0 is an error that carries what it said; nobody
 * can read a stream from here without also seeing how its process ended.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { CoffreError } from '../errors.ts'
import type { ServerAccess } from './conninfo.ts'
import { classifyFailure, lostPart, warningsIn } from './server-message.ts'
import { openUnlinkedFile } from './unlinked-file.ts'

/** The allow-listed variables children may see. Made once from the process's own by `clientEnvironment`. */
export type ClientEnvironment = Readonly<Record<string, string>>

export type ClientProgram = 'psql' | 'pg_dump' | 'pg_dumpall' | 'pg_restore' | 'pgbench'

export interface ClientProcess {
  readonly stdin: Writable
  /** Kept until somebody reads it, also when the program has ended by then. */
  readonly stdout: Readable
  /** Resolves when the program ended with status 0; otherwise rejects. Always awaited by whoever started it. */
  readonly done: Promise<void>
  readonly pid: number | undefined
  /** What it warned of on stderr so far, though it went on; without values. */
  warnings(): readonly string[]
  kill(): void
}

const passed =
  /^(PATH|HOME|LANG|USER|LOGNAME|TMPDIR|LD_LIBRARY_PATH|SSL_CERT_FILE|XDG_RUNTIME_DIR|KUBECONFIG|DOCKER_\w+|CONTAINER_HOST|KRB5\w*|PG(?!OPTIONS|DATABASE)\w+)$/

/** Messages in English whatever the host speaks (so that errors can be told apart), and nothing not on the list. */
export function clientEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): ClientEnvironment {
  const kept = Object.entries(environment).filter(
    (entry): entry is [string, string] => passed.test(entry[0]) && entry[1] !== undefined,
  )
  return { ...Object.fromEntries(kept), LC_ALL: 'C', LC_MESSAGES: 'C' }
}

export interface StartOptions {
  readonly environment: ClientEnvironment
  readonly signal?: AbortSignal | undefined
  /** An already open file the program sees as /dev/fd/4. Not available behind a prefix. */
  readonly file?: FileHandle | undefined
  /** The same as /dev/fd/5. */
  readonly secondFile?: FileHandle | undefined
  /** Words of a command that becomes the program. */
  readonly wrap?: readonly string[] | undefined
}

/** What is kept of stderr's beginning, and of its end. */
const stderrKeptBytes = 16 * 1024

export async function startClient(
  access: ServerAccess,
  program: ClientProgram,
  args: readonly string[],
  options: StartOptions,
): Promise<ClientProcess> {
  options.signal?.throwIfAborted()
  const passfile = await passwordFile(access)
  const [command = program, ...words] = [...access.prefix, ...(options.wrap ?? []), program, ...args]
  try {
    const child = spawn(command, words, {
      env: { ...options.environment, ...(passfile === undefined ? {} : { PGPASSFILE: '/dev/fd/3' }) },
      stdio: [
        'pipe',
        'pipe',
        'pipe',
        passfile?.fd ?? 'ignore',
        options.file?.fd ?? 'ignore',
        options.secondFile?.fd ?? 'ignore',
      ],
    })
    return watch(child, program, options.signal)
  } finally {
    await passfile?.close()
  }
}

/** One line, every field a wildcard but the password (PostgreSQL documentation, 34.16 The Password File). */
async function passwordFile(access: ServerAccess): Promise<FileHandle | undefined> {
  if (access.password === undefined || access.prefix.length > 0) return undefined
  const file = await openUnlinkedFile()
  await file.write(`*:*:*:*:${access.password.reveal().replace(/[\\:]/g, '\\$&')}\n`)
  return file
}

function watch(child: ChildProcess, program: ClientProgram, signal: AbortSignal | undefined): ClientProcess {
  const { stdin, stdout: pipe, stderr } = child
  if (stdin === null || pipe === null || stderr === null)
    throw new CoffreError('ERR_INTERNAL', `${program} has no pipes`)
  // When a child exits, Node throws away what it wrote and nobody reads yet. How it ended is told by `done`.
  const stdout = pipe.pipe(new PassThrough())
  pipe.once('close', () => stdout.end())
  pipe.on('error', () => stdout.end())
  const said = keepEnds(stderr)
  const killed = new AbortController()
  const kill = (): void => {
    child.kill('SIGTERM')
    stdin.destroy()
    killed.abort()
  }
  // A broken pipe only says that the program has ended; how it ended is told by `done`.
  stdin.on('error', () => undefined)
  signal?.addEventListener('abort', kill, { once: true })
  const done = ended(child, program, said, killed.signal)
    .catch((error: unknown) => {
      if (signal?.aborted === true)
        throw new CoffreError('ERR_INTERRUPTED', `${program} was interrupted`, { cause: error })
      throw error
    })
    .finally(() => signal?.removeEventListener('abort', kill))
  // Whoever reads the stream sees its end before `done`; the failure must not count as unhandled in between.
  done.catch(() => undefined)
  return { stdin, stdout, done, pid: child.pid, warnings: () => warningsIn(said()), kill }
}

function keepEnds(stderr: Readable): () => string {
  let head = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  let lost = false
  stderr.on('data', (bytes: Buffer) => {
    const room = stderrKeptBytes - head.length
    head = Buffer.concat([head, bytes.subarray(0, room)])
    const rest = Buffer.concat([tail, bytes.subarray(room)])
    lost ||= rest.length > stderrKeptBytes
    tail = rest.subarray(-stderrKeptBytes)
  })
  return () => `${head.toString('utf8')}${lost ? lostPart : ''}${tail.toString('utf8')}`
}

/**
 * What a prefix has started may hold its pipes open when it was killed, and it may not let itself be killed at all: nobody
 * waits for either.
 */
const killedWaitMs = 2000

async function ended(
  child: ChildProcess,
  program: string,
  said: () => string,
  killed: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<number | string>()
  child.once('close', (status: number | null, killedBy: string | null) => resolve(killedBy ?? status ?? -1))
  child.on('error', (cause) => {
    if (child.pid === undefined) reject(cannotStart(child.spawnfile, cause))
  })
  const letGo = (): void => {
    child.kill('SIGKILL')
    for (const pipe of child.stdio) pipe?.destroy()
    child.unref()
    resolve('SIGTERM')
  }
  const whenKilled = (): void => {
    timer = setTimeout(letGo, killedWaitMs)
  }
  let timer: NodeJS.Timeout | undefined
  killed.addEventListener('abort', whenKilled, { once: true })
  try {
    const status = await promise
    if (status !== 0) throw classifyFailure(program, status, said())
    if (killed.aborted) throw classifyFailure(program, 'SIGTERM', said())
  } finally {
    killed.removeEventListener('abort', whenKilled)
    clearTimeout(timer)
  }
}

function cannotStart(command: string, cause: Error): CoffreError {
  const missing = 'code' in cause && cause.code === 'ENOENT'
  const message = missing ? `cannot start ${command}: there is no such program` : `cannot start ${command}`
  return new CoffreError('ERR_PROGRAM', message, { cause })
}

/** Waits until it is in the pipe, so that the memory may be used again. False when it reads no more: how it ended is told by `done`. */
export async function writeTo({ stdin }: ClientProcess, bytes: Buffer): Promise<boolean> {
  if (stdin.destroyed) return false
  await new Promise<void>((resolve) => {
    const go = (): void => {
      stdin.off('close', go)
      resolve()
    }
    stdin.on('close', go)
    stdin.write(bytes, go)
  })
  return !stdin.destroyed
}

/** Runs a program to its end and returns what it wrote, at most `limitBytes`. */
export async function collectClient(
  access: ServerAccess,
  program: ClientProgram,
  args: readonly string[],
  options: StartOptions & { readonly limitBytes: number },
): Promise<Buffer> {
  const client = await startClient(access, program, args, options)
  client.stdin.end()
  return await collectOutput(client, options.limitBytes)
}

/** All that a program writes until it ends with status 0, at most `limitBytes`. */
export async function collectOutput(client: ClientProcess, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of readToEnd(client)) {
    parts.push(part)
    sizeBytes += part.length
    if (sizeBytes > limitBytes)
      throw new CoffreError('ERR_PROGRAM', `a client program wrote more than ${limitBytes} bytes`)
  }
  return Buffer.concat(parts)
}

/** A program's output; ends only when the program has ended with status 0. Left early, it kills the program. */
export async function* readToEnd(client: ClientProcess): AsyncGenerator<Buffer> {
  let complete = false
  try {
    for await (const bytes of client.stdout as AsyncIterable<Buffer>) yield bytes
    await client.done
    complete = true
  } finally {
    if (!complete) client.kill()
  }
}
