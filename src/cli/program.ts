/** The commands, their options and their help. Which function carries one out; nothing else. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../model/duration.ts'
import { backupCommand } from './commands/backup.ts'
import { configCheckCommand, configSchemaCommand } from './commands/config.ts'
import { copyCommand, type CopyOptions } from './commands/copy.ts'
import { demoCommand, type DemoOptions } from './commands/demo.ts'
import { holdCommand, type HoldOptions } from './commands/hold.ts'
import { initCommand, type InitOptions } from './commands/init.ts'
import {
  keysCombineCommand,
  keysCreateCommand,
  keysSplitCommand,
  type KeysCreateOptions,
  type KeysSplitOptions,
} from './commands/keys.ts'
import { keysListCommand } from './commands/keys-list.ts'
import { listCommand } from './commands/list.ts'
import { pruneCommand, type PruneOptions } from './commands/prune.ts'
import { restoreCommand, type RestoreOptions } from './commands/restore.ts'
import { showCommand, type ShowOptions } from './commands/show.ts'
import { verifyCommand, type VerifyOptions } from './commands/verify.ts'
import { Session, type CliHost, type GlobalOptions } from './session.ts'

const exitStatuses = `
Exit status: 0 done, 1 failed, 2 usage or configuration, 3 done but degraded,
5 no such backup, 6 another run holds the lease, 7 no identity that opens it,
8 signature or digest mismatch, 11 refused by a guard (prune), 130 interrupted.`

/** `--version` prints `version`. Every action gets a Session made from the options it was called with. */
export function buildProgram(host: CliHost, version: string): Command {
  const program = new Command('coffre')
    .description('Encrypted PostgreSQL backups that only their owners can open, and that prove they restore.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'what a command does, with examples')
    .option('--config <file>', 'the configuration (default: coffre.yaml, then /etc/coffre/coffre.yaml)')
    .option('--repository <name>', 'which repository of the configuration (default: the first)')
    .option('--json', 'the result as one JSON document on stdout')
    .option('--quiet', 'errors and warnings only')
    .option('--verbose', 'progress also with --json')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.terminal.result(text.trimEnd()),
      writeErr: () => undefined,
    })
    .addHelpText('after', exitStatuses)
  const session = (): Session => new Session(host, program.opts<GlobalOptions>())
  addMaking(program, session)
  addRestore(program, session)
  addReading(program, session)
  addKeeping(program, session)
  addKeys(program, session)
  addConfig(program, session)
  return program
}

function addMaking(program: Command, session: () => Session): void {
  examples(
    program
      .command('init')
      .description('write a configuration step by step, make a signing key, test every access')
      .option('--yes', 'ask nothing: everything is given by options')
      .option('--source <name>', 'what the database is called in backups')
      .option('--url <url>', 'where the database is: postgres://user@host/database')
      .option(
        '--run <words>',
        'a command prefix for the client programs, such as "docker exec -i koprogo-postgres"',
      )
      .option('--database <name>', 'with --run: the database')
      .option('--user <name>', 'with --run: the user')
      .option('--directory <path>', 'keep backups in a folder')
      .option('--s3 <bucket>', 'keep backups in an S3 bucket')
      .option('--provider <name>', 'aws, ovh, scaleway, backblaze, wasabi, hetzner, r2, ceph or generic')
      .option('--region <name>', 'of the bucket')
      .option('--endpoint <url>', 'of an S3 server that no region leads to')
      .option('--prefix <path>', 'a folder within the bucket')
      .option(
        '--access-key-file <file>',
        'the S3 access key; without it, the usual AWS environment and profiles',
      )
      .option('--secret-key-file <file>', 'the S3 secret key')
      .option('--recipient <file>', 'a public key that may read the backups; repeat it for more', collect),
    [
      'coffre init',
      'coffre init --yes --source koprogo --run "docker exec -i koprogo-postgres" \\\n    --database koprogo_db --user koprogo --directory /mnt/nas/coffre \\\n    --recipient alice.asc',
    ],
  ).action(({ recipient = [], ...options }: Omit<InitOptions, 'recipient'> & Partial<InitOptions>) =>
    initCommand(session(), { ...options, recipient }),
  )
  examples(
    program
      .command('backup')
      .description('make one complete, sealed and signed backup now')
      .argument('[source...]', 'sources of the configuration (default: all)'),
    ['coffre backup', 'coffre backup koprogo --json'],
  ).action((sources: string[]) => backupCommand(session(), sources))
  examples(
    program
      .command('demo')
      .description('see it all on a throw-away database: backup, verify, gpg, restore')
      .option('--s3', 'keep the backups in a real S3 server instead of a folder')
      .option('--scale <n>', 'size of the database; 1 is some hundred megabytes', fraction)
      .option('--keep', 'leave everything running until Ctrl-C'),
    ['coffre demo', 'coffre demo --scale 0.1'],
  ).action((options: DemoOptions) => demoCommand(session(), options))
}

function addRestore(program: Command, session: () => Session): void {
  examples(
    program
      .command('restore')
      .description('restore a backup into a new database, and compare every row with the snapshot')
      .argument('<id>', 'a backup id, or latest')
      .option('--to <url>', 'the server and the new database: postgres://user@host/new_database')
      .option('--to-source <name>', "through that source's command prefix; needs --database")
      .option('--database <name>', 'the new database')
      .option(
        '--to-directory <dir>',
        'only decrypt: the files, for stock pg_restore and psql; needs no server',
      )
      .option(
        '--table <name>',
        'only this table, or schema.table, with what it needs; repeat it for more',
        collect,
      )
      .option('--schema <name>', 'only this schema, with what it needs; repeat it for more', collect)
      .option(
        '--replace',
        'also where that database exists and is not empty: once the new one is equal it takes its place, and the old one is kept under another name',
      )
      .option('--drop-replaced', 'with --replace: then drop the old one')
      .option('--dry-run', 'look at everything, say what would be done, and make nothing')
      .option('--not-older-than <age>', 'refuse a backup older than that: 90m, 26h, 7d', duration)
      .option('--source <name>', 'with latest: of which source')
      .option('--jobs <n>', 'connections to load and index with (default: one per core)', positive)
      .addOption(identityOption())
      .addOption(passphraseOption()),
    [
      'coffre restore latest --identity alice-secret.asc \\\n    --to postgres://postgres@localhost/koprogo_restored',
      'coffre restore 20261123T020000Z-7f3a9c2e --identity alice-secret.asc \\\n    --to-source koprogo --database koprogo_restored',
      'coffre restore latest --not-older-than 26h --identity gpg \\\n    --to postgres://postgres@localhost/koprogo_restored',
      'coffre restore latest --identity alice-secret.asc --table public.invoices \\\n    --to postgres://postgres@localhost/koprogo_invoices',
      'coffre restore latest --identity alice-secret.asc --replace \\\n    --to-source koprogo --database koprogo_db',
      'coffre restore latest --identity alice-secret.asc \\\n    --to-directory /mnt/private/koprogo',
    ],
  ).action((id: string, options: RestoreOptions) => restoreCommand(session(), id, options))
}

function addReading(program: Command, session: () => Session): void {
  examples(
    program.command('list').description('the backups there are').argument('[source]', 'only of this source'),
    ['coffre list', 'coffre list koprogo --json'],
  ).action((source: string | undefined) => listCommand(session(), source))
  examples(
    program
      .command('show')
      .description('everything about one backup')
      .argument('<id>', 'a backup id, or latest')
      .option('--source <name>', 'with latest: of which source')
      .option('--inventory', 'also its tables with row counts and digests; needs an identity')
      .addOption(identityOption())
      .addOption(passphraseOption()),
    ['coffre show latest', 'coffre show latest --inventory --identity alice-secret.asc'],
  ).action((id: string, options: ShowOptions) => showCommand(session(), id, options))
  examples(
    program
      .command('verify')
      .description('are the bytes intact: sizes, SHA-256, signatures, recipients; needs no identity')
      .argument('[id...]', 'backup ids, or latest (the default)')
      .option('--all', 'every backup in the repository')
      .option('--source <name>', 'only of this source'),
    ['coffre verify', 'coffre verify --all'],
  ).action((ids: string[], options: VerifyOptions) => verifyCommand(session(), ids, options))
}

function addKeeping(program: Command, session: () => Session): void {
  examples(
    program
      .command('prune')
      .description('remove what the retention does not keep, and say why of every backup')
      .option('--dry-run', 'decide and say, touch nothing')
      .option(
        '--max-remove-fraction <n>',
        'for this run: how much of a source may go at once, 0 to 1',
        share,
      ),
    ['coffre prune --dry-run', 'coffre prune', 'coffre prune --max-remove-fraction 0.5'],
  ).action((options: PruneOptions) => pruneCommand(session(), options))
  examples(
    program
      .command('copy')
      .description('bring the sealed backups to a second repository; needs no identity')
      .argument('[source]', 'only of this source')
      .option('--to <name>', 'the second repository, by its name in the configuration'),
    ['coffre copy --to second', 'coffre copy koprogo --to second --json'],
  ).action((source: string | undefined, options: CopyOptions) => copyCommand(session(), source, options))
  examples(
    program
      .command('hold')
      .description('keep a backup whatever the retention says, until it is released')
      .argument('<id>', 'a backup id, or latest')
      .option('--reason <text>', 'why; it is stored readable by whoever reads the bucket')
      .option('--source <name>', 'with latest: of which source'),
    ['coffre hold 20261123T020000Z-7f3a9c2e --reason "case 2026/17"'],
  ).action((id: string, options: HoldOptions) => holdCommand(session(), 'hold', id, options))
  examples(
    program
      .command('release')
      .description('let the retention decide again over a backup that is held')
      .argument('<id>', 'a backup id')
      .option('--reason <text>', 'why, as with hold')
      .option('--source <name>', 'with latest: of which source'),
    ['coffre release 20261123T020000Z-7f3a9c2e --reason "case closed"'],
  ).action((id: string, options: HoldOptions) => holdCommand(session(), 'release', id, options))
}

function addKeys(program: Command, session: () => Session): void {
  const keys = examples(
    program.command('keys').description('the keys that open backups, and who holds them'),
    ['coffre keys split alice-secret.asc --to ./kits', 'coffre keys combine'],
  )
  examples(keys.command('list').description('every key, until when it serves, and which backups it opens'), [
    'coffre keys list',
    'coffre keys list --json',
  ]).action(() => keysListCommand(session()))
  examples(
    keys
      .command('create')
      .description('make a backup key whose passphrase exists only as shares of several holders')
      .requiredOption('--name <name>', 'whose key it is')
      .requiredOption('--email <address>', 'the same')
      .requiredOption('--to <dir>', 'a new folder for the key and one file per holder')
      .option('--threshold <m>', 'how many holders together open it', positive, 2)
      .option('--shares <n>', 'how many there are', positive, 3)
      .option('--valid <length>', 'until it expires (default: 396d, 13 months)', duration)
      .option('--rsa', 'RSA with 4096 bits (default: Ed25519 and Cv25519)'),
    ['coffre keys create --name Koprogo --email ops@koprogo.example \\\n    --to ./kits'],
  ).action((options: KeysCreateOptions) => keysCreateCommand(session(), options))
  examples(
    keys
      .command('split')
      .description('give a secret key a random passphrase, and each of several holders a share of it')
      .argument('<key>', 'the secret key of a recipient (gpg --export-secret-keys --armor)')
      .requiredOption('--to <dir>', 'a new folder for the key and one file per holder')
      .option('--threshold <m>', 'how many holders together open it', positive, 2)
      .option('--shares <n>', 'how many there are', positive, 3)
      .addOption(passphraseOption()),
    [
      'coffre keys split alice-secret.asc --to ./kits',
      'coffre keys split alice-secret.asc --to ./kits --threshold 3 --shares 5',
    ],
  ).action((key: string, options: KeysSplitOptions) => keysSplitCommand(session(), key, options))
  examples(
    keys
      .command('combine')
      .description('print the passphrase that shares give; asks for them, or reads them from stdin'),
    ['coffre keys combine', 'coffre keys combine < shares.txt'],
  ).action(() => keysCombineCommand(session()))
}

function addConfig(program: Command, session: () => Session): void {
  const config = examples(program.command('config').description('the configuration itself'), [
    'coffre config check',
    'coffre config schema > coffre.schema.json',
  ])
  examples(config.command('schema').description('its JSON Schema, for editors'), [
    'coffre config schema > coffre.schema.json',
  ]).action(() => configSchemaCommand(session()))
  examples(config.command('check').description('every problem of it at once'), [
    'coffre config check',
    'coffre config check --config /etc/coffre/coffre.yaml',
  ]).action(() => configCheckCommand(session()))
}

function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText(
    'after',
    `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n\nOptions for every command: --config --repository --json --quiet --verbose`,
  )
}

const identityOption = (): Option =>
  new Option(
    '--identity <file>',
    'the secret key of a recipient (gpg --export-secret-keys --armor); or gpg, or gpg:FINGERPRINT: your gpg-agent opens, with a smart card for instance',
  )
const passphraseOption = (): Option =>
  new Option('--passphrase-file <file>', 'holds its passphrase; without it you are asked')

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 256)
    throw new InvalidArgumentError('must be a whole number from 1 to 256')
  return value
}

function duration(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined)
    throw new InvalidArgumentError('must be a number and one of s, m, h, d, w, such as 26h')
  return seconds
}

function share(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('must be a number from 0 to 1')
  return value
}

function fraction(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 100)) throw new InvalidArgumentError('must be a number above 0, at most 100')
  return value
}
