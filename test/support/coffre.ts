/**
 * coffre as people run it: a folder of its own with keys and a configuration, and `bin/coffre` started in it. Tests make
 * one workshop each; everything in it is removed when the test ends.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { generateKey } from '../../src/openpgp/keys.ts'

export const home = dirname(dirname(import.meta.dirname))

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Words of a command that runs coffre as its own child: a tracer. */
  readonly under?: readonly string[]
}

/** Started, for tests that interrupt it; `ended` resolves however it ends. */
export function startCoffre(
  args: readonly string[],
  { cwd, env, input, under = [] }: RunOptions,
): { child: ChildProcess; ended: Promise<Outcome> } {
  const [command = '', ...words] = [...under, join(home, 'bin/coffre'), ...args]
  const child = spawn(command, words, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString('utf8')))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  child.stdin.end(input ?? '')
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, stdout, stderr }))
  return { child, ended }
}

export async function runCoffre(args: readonly string[], options: RunOptions): Promise<Outcome> {
  return await startCoffre(args, options).ended
}

export interface WorkshopOptions {
  /** As under `sources:` in the configuration. */
  readonly sources: Readonly<Record<string, unknown>>
  /** As under `repositories:`; default: a folder `repository` in the workshop. */
  readonly repositories?: Readonly<Record<string, unknown>>
  /** The people who may read: a name, to have a key made, or a key with its owner's name; default Alice alone. */
  readonly readers?: readonly (string | Reader)[]
  /** More keys of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>
  /** Options of `coffre init` that stand for the repository, for one that is not a folder. */
  readonly initRepository?: readonly string[]
  /** For every coffre that runs here. */
  readonly env?: Readonly<Record<string, string>>
}

export interface Reader {
  readonly name: string
  readonly fingerprint: string
  /** Armored. */
  readonly publicKey: string
  readonly secretKey: string
}

export interface Workshop extends AsyncDisposable {
  readonly folder: string
  readonly readers: readonly Reader[]
  /** A reader's secret key file. */
  identity(index?: number): string
  /** Runs coffre here. Fails the test unless it ends with `status` (default 0). */
  coffre(
    args: readonly string[],
    expected?: { readonly status?: number; readonly env?: Readonly<Record<string, string>> },
  ): Promise<Outcome>
  /** The same with --json, and its document. */
  json(args: readonly string[], expected?: { readonly status?: number }): Promise<Record<string, unknown>>
  /** Runs coffre here with --json and returns its error document. Fails the test unless it ends with `status`. */
  error(
    args: readonly string[],
    status: number,
  ): Promise<{ readonly code: string; readonly message: string; readonly hint: string }>
  /** Writes the configuration again, with other parts. */
  configure(parts: Readonly<Record<string, unknown>>): Promise<void>
  readonly config: Readonly<Record<string, unknown>>
}

/** Makes readers' keys, runs `coffre init`, and leaves a configuration with the given sources. */
export async function makeWorkshop(options: WorkshopOptions): Promise<Workshop> {
  const folder = mkdtempSync(join(tmpdir(), 'coffre-test-'))
  const readers = await Promise.all(
    (options.readers ?? ['alice']).map(async (one) => (typeof one === 'string' ? makeReader(one) : one)),
  )
  for (const { name, publicKey, secretKey } of readers) {
    await writeFile(join(folder, `${name}.asc`), publicKey)
    await writeFile(join(folder, `${name}-secret.asc`), secretKey, { mode: 0o600 })
  }
  const env = options.env ?? {}
  const [source] = Object.entries(options.sources)
  assert.ok(source)
  const repository = options.initRepository ?? ['--directory', join(folder, 'repository')]
  const recipients = readers.flatMap(({ name }) => ['--recipient', join(folder, `${name}.asc`)])
  const init = await runCoffre(
    [
      'init',
      '--yes',
      '--json',
      '--source',
      source[0],
      ...accessOptions(source[1]),
      ...repository,
      ...recipients,
    ],
    { cwd: folder, env },
  )
  if (init.status !== 0) await rm(folder, { recursive: true })
  assert.equal(init.status, 0, init.stderr)
  const { root } = JSON.parse(init.stdout) as { root: string }
  let config: Readonly<Record<string, unknown>> = {
    sources: options.sources,
    repositories: options.repositories ?? { main: { directory: 'repository' } },
    trust: { root },
    recipients: readers.map(({ fingerprint }, index) => ({
      file: `keys/recipient-${index + 1}.asc`,
      fingerprint,
    })),
    signing: { key_file: 'keys/host-secret.asc', role: 'host' },
    ...options.more,
  }
  const configure = async (parts: Readonly<Record<string, unknown>>): Promise<void> => {
    config = { ...config, ...parts }
    await writeFile(join(folder, 'coffre.yaml'), stringify(config), { mode: 0o600 })
  }
  await configure({})
  const coffre: Workshop['coffre'] = async (args, expected = {}) => {
    const outcome = await runCoffre(args, { cwd: folder, env: { ...env, ...expected.env } })
    assert.equal(
      outcome.status,
      expected.status ?? 0,
      `coffre ${args.join(' ')}\n${outcome.stderr}\n${outcome.stdout}`,
    )
    return outcome
  }
  return {
    folder,
    readers,
    get config() {
      return config
    },
    identity: (index = 0) => join(folder, `${readers[index]?.name}-secret.asc`),
    coffre,
    json: async (args, expected) =>
      JSON.parse((await coffre([...args, '--json'], expected)).stdout) as Record<string, unknown>,
    error: async (args, status) => {
      const { stderr } = await coffre([...args, '--json'], { status })
      const line = stderr.split('\n').find((one) => one.startsWith('{"error"')) ?? assert.fail(stderr)
      return (JSON.parse(line) as { error: { code: string; message: string; hint: string } }).error
    },
    configure,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A key pair as `gpg --quick-generate-key` would make it, without a passphrase. */
export async function makeReader(name: string): Promise<Reader> {
  const key = await generateKey({
    name,
    email: `${name}@example.org`,
    kind: 'ed25519',
    use: 'encrypt',
    validDays: 400,
    passphrase: undefined,
    now: new Date(),
  })
  return { name, ...key }
}

function accessOptions(source: unknown): readonly string[] {
  const { url, run, database, user } = source as {
    url?: string
    run?: readonly string[]
    database?: string
    user?: string
  }
  if (url !== undefined) return ['--url', url]
  return [
    '--run',
    (run ?? []).join(' '),
    '--database',
    database ?? '',
    ...(user === undefined ? [] : ['--user', user]),
  ]
}
