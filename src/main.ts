/**
 * The composition root: the only file that touches argv, the environment, signals and the exit status, and that names
 * concrete stores. Everything else receives what it needs.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { availableParallelism, getPriority, hostname, setPriority } from 'node:os'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { CommanderError } from 'commander'
import { errorDocument, sayError } from './cli/errors.ts'
import { buildProgram } from './cli/program.ts'
import type { CliHost, StoreRole } from './cli/session.ts'
import type { Terminal } from './cli/terminal.ts'
import type { RepositoryConfig, S3Config } from './config.ts'
import { asCoffreError, CoffreError } from './errors.ts'
import type { SecretPair, SecretSource } from './model/secret.ts'
import { clientEnvironment } from './postgres/client-tools.ts'
import { thisHolder } from './repository/holder.ts'
import { DirectoryStore } from './storage/directory.ts'
import type { ObjectStore } from './storage/object-store.ts'
import { createBucket } from './storage/s3-bucket.ts'
import { openS3Store, type S3Settings } from './storage/s3.ts'

const home = dirname(dirname(fileURLToPath(import.meta.url)))
const { version } = JSON.parse(readFileSync(`${home}/package.json`, 'utf8')) as { version: string }

function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  let overWidth = 0
  const clear = (): void => {
    if (overWidth > 0) stderr.write(`\r${' '.repeat(overWidth)}\r`)
    overWidth = 0
  }
  return {
    result: (text) => {
      clear()
      stdout.write(`${text}\n`)
    },
    say: (text) => {
      clear()
      stderr.write(`${text}\n`)
    },
    sayOver: stderr.isTTY
      ? (line) => {
          clear()
          stderr.write(line)
          overWidth = line.length
        }
      : undefined,
    ask: stdin.isTTY && stderr.isTTY ? ask : undefined,
    columns: stderr.columns ?? 80,
  }
}

async function ask(
  question: string,
  options: { readonly hidden: boolean } = { hidden: false },
): Promise<string> {
  const silent = new Writable({ write: (_bytes, _encoding, done) => done() })
  const lines = createInterface({
    input: process.stdin,
    output: options.hidden ? silent : process.stderr,
    terminal: true,
  })
  // Now the terminal shows nothing by itself any more: whoever answers at once must not see the answer.
  process.stderr.write(question)
  // Ctrl-C and Ctrl-D are characters then, and no signals.
  const gone = new AbortController()
  lines.once('close', () => gone.abort())
  try {
    return await lines.question('', { signal: gone.signal })
  } catch (cause) {
    throw new CoffreError('ERR_INTERRUPTED', 'nobody answered', { cause })
  } finally {
    lines.close()
    if (options.hidden) process.stderr.write('\n')
  }
}

async function openStore(repository: RepositoryConfig, role: StoreRole): Promise<ObjectStore> {
  if (repository.kind === 'directory') return new DirectoryStore({ root: repository.directory })
  return await openS3Store(await s3Settings(repository.s3, role))
}

async function s3Settings(config: S3Config, role: StoreRole): Promise<S3Settings> {
  const { credentials, region, ...settings } = config
  // Where only one of the two is configured, it does the work of both that it is allowed to do.
  const pair = credentials[role] ?? credentials.writer ?? credentials.reader
  // Where an endpoint is given the region is only a word in the signature; servers without regions take this one.
  return {
    ...settings,
    region: region ?? 'us-east-1',
    credentials: pair === undefined ? undefined : await readPair(pair),
  }
}

async function readPair(pair: SecretPair): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  return { accessKeyId: await readSecret(pair.accessKey), secretAccessKey: await readSecret(pair.secretKey) }
}

async function readSecret(source: SecretSource): Promise<string> {
  if (source.kind !== 'file') return source.secret.reveal()
  for (const path of source.paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text !== undefined) return text.trim()
  }
  throw new CoffreError('ERR_CONFIG', `cannot read the secret file ${source.paths.join(' or ')}`)
}

/** The first signal asks for an orderly end; the second ends at once. */
function interruptible(): AbortSignal {
  const controller = new AbortController()
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort(new CoffreError('ERR_INTERRUPTED', 'interrupted'))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  return controller.signal
}

function holderName(): string {
  return `coffre ${version} on ${hostname()}, process ${process.pid}, run ${randomBytes(4).toString('hex')}`
}

/** On Linux each thread has a priority of its own, which those that it starts later begin with. */
async function standBack(nice: number): Promise<void> {
  if (nice === 0) return
  const threads = await readdir('/proc/self/task').catch(() => [String(process.pid)])
  for (const thread of threads.map(Number)) {
    try {
      setPriority(thread, Math.max(nice, getPriority(thread)))
    } catch {
      // It has ended meanwhile.
    }
  }
}

function processExists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

async function main(): Promise<void> {
  outliveReaders()
  const terminal = processTerminal()
  const host: CliHost = {
    terminal,
    context: {
      now: () => new Date(),
      signal: interruptible(),
      environment: clientEnvironment(process.env),
      holder: await thisHolder(holderName(), process.pid, processExists),
      version,
      cores: availableParallelism(),
    },
    environment: process.env,
    folder: process.cwd(),
    uid: process.getuid?.(),
    home,
    openStore,
    createBucket: async (config) => createBucket(await s3Settings(config, 'writer')),
    readInput: () => buffer(process.stdin),
    setExitStatus: (status) => {
      process.exitCode = status
    },
    standBack,
  }
  const program = buildProgram(host, version)
  try {
    await program.parseAsync(process.argv)
  } catch (thrown) {
    fail(terminal, thrown)
  }
}

function fail(terminal: Terminal, thrown: unknown): void {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return
  const error = thrown instanceof CommanderError ? usageError(thrown) : asCoffreError(thrown)
  process.exitCode = error.exitStatus
  if (process.argv.includes('--json')) process.stderr.write(`${JSON.stringify(errorDocument(error))}\n`)
  else sayError(terminal, error)
  if (error.code === 'ERR_INTERNAL' && error.stack !== undefined) terminal.say(error.stack)
}

function usageError({ code, message }: CommanderError): CoffreError {
  // Commander wanted to print its help instead.
  if (code === 'commander.help') return new CoffreError('ERR_USAGE', 'a command is missing, or is not one')
  return new CoffreError('ERR_USAGE', message.replace(/^error: /, '').replaceAll('\n', ' '))
}

/** Whoever reads the output may go away (`| head`): what is under way is done all the same, and its status told. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

await main()
