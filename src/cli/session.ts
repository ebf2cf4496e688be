/**
 * What every command starts from: the configuration, the repository and the keys it names, read once and checked; and how
 * it speaks to people and scripts. Commands are functions over this; only main.ts knows the process behind it.
 */
import { open, readFile, stat, type FileHandle } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  parseConfig,
  type Config,
  type RepositoryConfig,
  type S3Config,
  type SourceConfig,
} from '../config.ts'
import { CoffreError } from '../errors.ts'
import { readSigningKey, type SigningKey } from '../openpgp/keys.ts'
import type { Context } from '../operations/context.ts'
import { parsePostgresUrl, type ServerAccess } from '../postgres/conninfo.ts'
import { Repository } from '../repository/repository.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { progressTeller } from './progress.ts'
import type { Terminal } from './terminal.ts'

/** Which of a repository's credentials a command works with. */
export type StoreRole = 'writer' | 'reader' | 'pruner'

/** What main.ts gives. */
export interface CliHost {
  readonly terminal: Terminal
  readonly context: Omit<Context, 'emit'>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly folder: string
  /** Of whoever runs coffre; undefined where the system has none. */
  readonly uid: number | undefined
  /** The project's own folder: the demo's data and scripts lie below it. */
  readonly home: string
  readonly openStore: (repository: RepositoryConfig, role: StoreRole) => Promise<ObjectStore>
  /** Only for the demo's own server. */
  readonly createBucket: (config: S3Config) => Promise<void>
  /** All of standard input, where it is no terminal. */
  readonly readInput: () => Promise<Buffer>
  readonly setExitStatus: (status: number) => void
  /** Lowers the priority of this process, and of those it starts, to `nice` (nice(1)); never raises it. */
  readonly standBack: (nice: number) => Promise<void>
}

/** The options every command takes. */
export interface GlobalOptions {
  readonly config?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly repository?: string
}

export class Session {
  readonly host: CliHost
  readonly options: GlobalOptions
  readonly context: Context
  readonly #endProgress: () => void

  constructor(host: CliHost, options: GlobalOptions) {
    this.host = host
    this.options = options
    const quiet = options.quiet === true || (options.json === true && options.verbose !== true)
    const teller = progressTeller({ terminal: host.terminal, now: host.context.now, quiet })
    this.#endProgress = teller.end
    this.context = { ...host.context, emit: teller.emit }
  }

  /** The result on stdout: one JSON document, or what people read. */
  print(document: unknown, people: string): void {
    this.#endProgress()
    this.host.terminal.result(this.options.json === true ? JSON.stringify(document, null, 2) : people)
  }

  say(text: string): void {
    this.#endProgress()
    if (this.options.quiet !== true) this.host.terminal.say(text)
  }

  async config(): Promise<Config> {
    const file = await this.configFile()
    const { text, readableByOthers } = await readConfigFile(file, this.host.uid)
    const config = parseConfig(text, { file, environment: this.host.environment, readableByOthers })
    await this.host.standBack(config.nice)
    return config
  }

  async configFile(): Promise<string> {
    if (this.options.config !== undefined) return resolve(this.host.folder, this.options.config)
    const candidates = [resolve(this.host.folder, 'coffre.yaml'), '/etc/coffre/coffre.yaml']
    for (const candidate of candidates) {
      if (await stat(candidate).catch(() => undefined)) return candidate
    }
    throw new CoffreError('ERR_CONFIG', `there is no configuration: neither ${candidates.join(' nor ')}`, {
      hint: 'coffre init writes one; or name it with --config FILE',
    })
  }

  async repository(config: Config, role: StoreRole): Promise<Repository> {
    const found = this.repositoryConfig(config)
    const repository = await Repository.open(await this.host.openStore(found, role), config.trust.root)
    for (const { message, hint } of repository.trust.broken)
      this.context.emit({ type: 'warning', message, hint })
    return repository
  }

  /** The one of that name; without one, the one that --repository names, or the first. */
  repositoryConfig(config: Config, named?: string): RepositoryConfig {
    const name = named ?? this.options.repository ?? [...config.repositories.keys()][0] ?? ''
    const found = config.repositories.get(name)
    if (found === undefined) {
      throw new CoffreError('ERR_USAGE', `there is no repository ${JSON.stringify(name)} in ${config.file}`, {
        hint: `it has ${[...config.repositories.keys()].join(', ')}`,
      })
    }
    return found
  }

  /** Undefined where the configuration names none. */
  async operatorKey(config: Config): Promise<SigningKey | undefined> {
    return config.operator && (await readSigningKey(await readKeyFile(config.operator.keyFile)))
  }

  async signingKey(config: Config): Promise<SigningKey> {
    if (config.signing === undefined) {
      throw new CoffreError('ERR_CONFIG', `${config.file} names no signing key`, {
        hint: 'add signing: {key_file: …}',
      })
    }
    return await readSigningKey(await readKeyFile(config.signing.keyFile))
  }
}

/**
 * Its `run:` is executed as whoever runs coffre, so nobody else may own it or write to it (`uid`: ours). Judged and read
 * over one descriptor. Throws ERR_CONFIG.
 */
export async function readConfigFile(
  file: string,
  uid: number | undefined,
): Promise<{ text: string; readableByOthers: boolean }> {
  let opened: FileHandle | undefined
  try {
    opened = await open(file)
    const { mode, uid: owner } = await opened.stat()
    if (owner !== 0 && uid !== undefined && owner !== uid) {
      throw new CoffreError('ERR_CONFIG', `${file} belongs to somebody else, who could run commands as you`, {
        hint: `look at it, then make it yours: chown ${uid} ${file}`,
      })
    }
    if ((mode & 0o022) !== 0) {
      throw new CoffreError(
        'ERR_CONFIG',
        `${file} can be written by others, who could then run commands as you`,
        { hint: `chmod go-w ${file}` },
      )
    }
    return { text: await opened.readFile('utf8'), readableByOthers: (mode & 0o044) !== 0 }
  } catch (cause) {
    if (cause instanceof CoffreError) throw cause
    throw new CoffreError('ERR_CONFIG', `cannot read the configuration ${file}`, {
      cause,
      hint: `ls -l ${file} shows whether it is there and yours; coffre init writes one`,
    })
  } finally {
    await opened?.close()
  }
}

export async function readKeyFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new CoffreError('ERR_KEY', `cannot read the key file ${file}`, { cause })
  }
}

export function sourceAccess({ access }: SourceConfig): ServerAccess {
  if (access.kind === 'url') return parsePostgresUrl(access.url.reveal())
  const parameters = { dbname: access.database, ...(access.user === undefined ? {} : { user: access.user }) }
  return { prefix: access.run, parameters, password: undefined }
}

export function chosenSources(config: Config, names: readonly string[]): readonly SourceConfig[] {
  if (names.length === 0) return [...config.sources.values()]
  return names.map((name) => {
    const found = config.sources.get(name)
    if (found !== undefined) return found
    throw new CoffreError('ERR_USAGE', `there is no source ${JSON.stringify(name)} in ${config.file}`, {
      hint: `it has ${[...config.sources.keys()].join(', ')}`,
    })
  })
}
