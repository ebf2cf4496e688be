/** coffre init: asks what it was not told, makes a small local trust, writes the configuration, tests every access. */
import { access, chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { parseConfig, type Config } from '../../config.ts'
import { CoffreError } from '../../errors.ts'
import { readRecipient } from '../../openpgp/keys.ts'
import { checkDumpVersions } from '../../operations/check-versions.ts'
import { init, type InitKeys, type InitResult } from '../../operations/init.ts'
import { reachOneServer } from '../../postgres/same-server.ts'
import { readKeyFile, sourceAccess, type Session } from '../session.ts'

export interface InitOptions {
  readonly yes?: boolean
  readonly source?: string
  readonly url?: string
  readonly run?: string
  readonly database?: string
  readonly user?: string
  readonly directory?: string
  readonly s3?: string
  readonly provider?: string
  readonly region?: string
  readonly endpoint?: string
  readonly prefix?: string
  readonly accessKeyFile?: string
  readonly secretKeyFile?: string
  readonly recipient: readonly string[]
}

export async function initCommand(session: Session, given: InitOptions): Promise<void> {
  const file =
    session.options.config === undefined
      ? resolve(session.host.folder, 'coffre.yaml')
      : resolve(session.host.folder, session.options.config)
  await assertAbsent(file)
  for (const name of ['root-secret.asc', 'root.asc', 'host-secret.asc', 'operator-secret.asc'])
    await assertAbsent(join(dirname(file), 'keys', name))
  const options = await complete(session, given)
  const recipients = await Promise.all(
    options.recipient.map((path) => readKeyFile(resolve(session.host.folder, path))),
  )
  // Everything that can be wrong is found before anything is made: first the keys and the configuration, whose root is
  // yet to come.
  const pins = await pinsOf(session, recipients)
  const draft = parse(session, file, compose(session, options, '0'.repeat(40), pins))
  await testSource(session, draft)
  const [repository] = draft.repositories.values()
  if (repository === undefined) throw new CoffreError('ERR_USAGE', 'there is no repository')
  if (repository.kind === 'directory') await mkdir(repository.directory, { recursive: true, mode: 0o700 })
  const store = await session.host.openStore(repository, 'writer')
  const sources = [...draft.sources.keys()]
  const keep = (keys: InitKeys): Promise<void> => writeKeys(dirname(file), keys)
  const made = await init(session.context, { store, recipients, sources, keep })
  const text = compose(session, options, made.root.fingerprint, pins)
  await writeFile(file, text, { flag: 'wx', mode: 0o600 })
  parse(session, file, text)
  const document = {
    config: file,
    repository: made.repository,
    root: made.root.fingerprint,
    host: made.host.fingerprint,
    recipients: made.recipients.map(({ fingerprint }) => fingerprint),
  }
  session.print(document, outcome(file, made))
}

async function assertAbsent(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  )
  if (exists)
    throw new CoffreError('ERR_EXISTS', `${file} exists already: it is left as it is`, {
      hint: 'it belongs to an earlier init: work in another folder, or name one with --config FOLDER/coffre.yaml',
    })
}

/** Asks for what is missing, unless --yes or nobody is there. */
async function complete(session: Session, given: InitOptions): Promise<InitOptions> {
  const { ask } = session.host.terminal
  const question = async (
    answer: string | undefined,
    text: string,
    otherwise: string,
    option: string,
  ): Promise<string> => {
    if (answer !== undefined) return answer
    if (given.yes === true || ask === undefined) {
      if (otherwise !== '') return otherwise
      throw new CoffreError('ERR_USAGE', `${option} is missing`, {
        hint: 'coffre init --help shows every option; without --yes, on a terminal, it asks',
      })
    }
    const said = (await ask(`${text}${otherwise === '' ? '' : ` [${otherwise}]`}: `)).trim()
    return said === '' ? otherwise : said
  }
  const source = await question(given.source, 'What is the database called in backups?', 'main', '--source')
  const direct = given.run === undefined && given.database === undefined
  const url = direct
    ? await question(given.url, 'Where is it? postgres://user@host/database', '', '--url')
    : undefined
  const database = direct ? undefined : await question(given.database, 'The database', '', '--database')
  const here = given.s3 === undefined
  const directory = here
    ? await question(
        given.directory,
        'A folder to keep the backups in (or leave, and use --s3)',
        '',
        '--directory or --s3',
      )
    : undefined
  const recipient =
    given.recipient.length > 0
      ? given.recipient
      : [await question(undefined, 'The public key file of who may read them', '', '--recipient')]
  return {
    ...given,
    source,
    ...(url === undefined ? {} : { url }),
    ...(database === undefined ? {} : { database }),
    ...(directory === undefined ? {} : { directory }),
    recipient,
  }
}

interface Pin {
  readonly file: string
  readonly fingerprint: string
}

async function pinsOf({ context }: Session, recipients: readonly Buffer[]): Promise<readonly Pin[]> {
  const now = context.now()
  const read = await Promise.all(recipients.map((bytes) => readRecipient(bytes, { now, expired: 'refuse' })))
  return read.map(({ fingerprint }, index) => ({ file: keyFile(index), fingerprint }))
}

const keyFile = (index: number): string => `keys/recipient-${index + 1}.asc`

function compose({ host }: Session, options: InitOptions, root: string, recipients: readonly Pin[]): string {
  const words = (options.run ?? '').split(/\s+/).filter((word) => word !== '')
  const user = options.user === undefined ? {} : { user: options.user }
  const source =
    options.url === undefined ? { database: options.database, ...user, run: words } : { url: options.url }
  const path = (file: string): string => resolve(host.folder, file)
  const credentials =
    options.accessKeyFile === undefined || options.secretKeyFile === undefined
      ? {}
      : {
          credentials: {
            writer: {
              access_key_file: path(options.accessKeyFile),
              secret_key_file: path(options.secretKeyFile),
            },
          },
        }
  const { provider = 'generic', region, endpoint, prefix } = options
  const s3 = {
    provider,
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    bucket: options.s3,
    ...(prefix && { prefix }),
    ...credentials,
  }
  const repository = options.s3 === undefined ? { directory: path(options.directory ?? '') } : { s3 }
  return [
    '# Made by coffre init. `coffre config check` tells what is wrong with it after a change.',
    stringify({
      sources: { [options.source ?? 'main']: source },
      repositories: { main: repository },
      trust: { root },
      recipients,
      signing: { key_file: 'keys/host-secret.asc', role: 'host' },
      operator: { key_file: 'keys/operator-secret.asc' },
      retention: { daily: 7, weekly: 4, monthly: 12, yearly: 'all', timezone: 'UTC' },
    }),
  ].join('\n')
}

function parse(session: Session, file: string, text: string): Config {
  return parseConfig(text, { file, environment: session.host.environment, readableByOthers: false })
}

async function testSource({ context }: Session, config: Config): Promise<void> {
  for (const source of config.sources.values()) {
    const options = {
      environment: context.environment,
      signal: context.signal,
      applicationName: 'coffre init',
    }
    const access = await reachOneServer(sourceAccess(source), options)
    const { server, pgDump } = await checkDumpVersions(context, access, 'coffre init')
    context.emit({ type: 'note', message: `${source.name}: PostgreSQL ${server}, pg_dump ${pgDump}` })
  }
}

async function writeKeys(folder: string, { root, host, operator, recipients }: InitKeys): Promise<void> {
  const keys = join(folder, 'keys')
  await mkdir(keys, { recursive: true, mode: 0o700 })
  await chmod(keys, 0o700)
  const secret = { flag: 'wx', mode: 0o600 }
  await writeFile(join(keys, 'root-secret.asc'), root.secretKey, secret)
  await writeFile(join(keys, 'root.asc'), root.publicKey, { flag: 'wx' })
  await writeFile(join(keys, 'host-secret.asc'), host.secretKey, secret)
  await writeFile(join(keys, 'operator-secret.asc'), operator.secretKey, secret)
  for (const [index, { publicKey }] of recipients.entries())
    await writeFile(join(folder, keyFile(index)), publicKey, { flag: 'wx' })
  // What was written is read back: a key that cannot be read again must not be found out on the worst day.
  if ((await readFile(join(keys, 'root-secret.asc'), 'utf8')) !== root.secretKey)
    throw new CoffreError('ERR_NOT_STORED', 'the root key was not written whole')
}

function outcome(file: string, { root, host, recipients }: InitResult): string {
  const folder = join(dirname(file), 'keys')
  return [
    `${file} is written, and everything it names was reached.`,
    `  root        ${root.fingerprint}   (all trust hangs from it: write it down)`,
    `  signed by   ${host.fingerprint}`,
    ...recipients.map(({ fingerprint, userId }) => `  readable by ${fingerprint}   ${userId}`),
    '',
    'This is a small local trust, without a ceremony. What it lacks:',
    `  - the root's secret key is in ${folder}/root-secret.asc: move it off this machine, to two places`,
    `  - the operator's key in ${folder} signs holds and the pruner's ledger: whoever prunes elsewhere moves it there`,
    '  - nobody holds shares of the secret keys that read the backups: keep those, with passphrases, in two places',
    '  - this machine alone signs; whoever is root here can make (not read) backups in its name',
    '',
    'Next: coffre backup',
  ].join('\n')
}
