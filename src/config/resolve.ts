/**
 * From a configuration as written, found without fault, to the one coffre works with: paths absolute, secrets
 * wrapped, defaults that depend on other keys filled in. It reads nothing.
 */
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { CoffreError } from '../errors.ts'
import { parseDuration } from '../model/duration.ts'
import { providerTraits } from '../model/provider.ts'
import { parseRate } from '../model/rate.ts'
import type { RetentionPolicy } from '../model/retention/plan-retention.ts'
import type { SecretPair, SecretSource } from '../model/secret.ts'
import { normalFingerprint } from './rules.ts'
import type {
  WrittenConfig,
  WrittenCredential,
  WrittenRetention,
  WrittenS3,
  WrittenSource,
} from './schema.ts'
import type { Config, RepositoryConfig, S3Config, SourceConfig } from './settings.ts'
import { type SecretContext, secretSource } from './written-secret.ts'

export function resolveConfig(written: WrittenConfig, context: SecretContext): Config {
  const folder = dirname(context.file)
  const { signing, compression } = written
  return {
    file: context.file,
    sources: new Map(
      Object.entries(written.sources).map(([name, source]) => [name, sourceConfig(name, source, context)]),
    ),
    repositories: new Map(
      Object.entries(written.repositories).map(([name, repository]): [string, RepositoryConfig] => {
        const { s3, directory } = repository
        const retention = retentionPolicy(repository.retention ?? written.retention)
        const common = { name, retention, copyTo: repository.copy_to }
        if (s3 !== undefined) return [name, { ...common, kind: 's3', s3: s3Config(s3, context) }]
        return [name, { ...common, kind: 'directory', directory: resolve(folder, directory ?? '') }]
      }),
    ),
    trust: { root: normalFingerprint(written.trust.root) },
    recipients: written.recipients.map(({ file, fingerprint }) => ({
      file: resolve(folder, file),
      fingerprint: normalFingerprint(fingerprint),
    })),
    signing:
      signing === undefined ? undefined : { keyFile: resolve(folder, signing.key_file), role: signing.role },
    operator:
      written.operator === undefined ? undefined : { keyFile: resolve(folder, written.operator.key_file) },
    keys: { onExpired: written.keys.on_expired },
    compression: { algorithm: compression.algorithm, level: compression.level },
    nice: written.nice,
  }
}

function sourceConfig(name: string, source: WrittenSource, context: SecretContext): SourceConfig {
  const { url, database = '', user, run = [], jobs, globals } = source
  const rest = { jobs, globals, maxSnapshotAgeMs: durationMs(source.max_snapshot_age) }
  if (url === undefined) return { name, access: { kind: 'prefix', run, database, user }, ...rest }
  return { name, access: { kind: 'url', url: secretSource(url, context).secret }, ...rest }
}

function retentionPolicy(written: WrittenRetention | undefined): RetentionPolicy | undefined {
  if (written === undefined) return undefined
  const { daily, weekly, monthly, yearly, timezone, min_keep, max_remove_fraction, newest_within } = written
  return {
    daily,
    weekly,
    monthly,
    yearly,
    timeZone: timezone,
    minKeep: min_keep,
    maxRemoveFraction: Number(max_remove_fraction),
    newestWithinMs: durationMs(newest_within),
  }
}

/** Of what the schema found to be one. */
function durationMs(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined) throw new CoffreError('ERR_INTERNAL', 'a length of time cannot be read')
  return seconds * 1000
}

/** Of what the schema found to be one. */
function rate(text: string): number {
  const bytesPerSecond = parseRate(text)
  if (bytesPerSecond === undefined) throw new CoffreError('ERR_INTERNAL', 'a rate cannot be read')
  return bytesPerSecond
}

function s3Config(s3: WrittenS3, context: SecretContext): S3Config {
  return {
    provider: s3.provider,
    endpoint: s3.endpoint,
    region: s3.region,
    bucket: s3.bucket,
    prefix: s3.prefix,
    encryption: s3.encryption ?? providerTraits[s3.provider].encryptions[0],
    kmsKey: s3.kms_key,
    uploadBytesPerSecond: s3.upload_limit === undefined ? undefined : rate(s3.upload_limit),
    credentials: {
      writer: pair(s3.credentials?.writer, context),
      reader: pair(s3.credentials?.reader, context),
      pruner: pair(s3.credentials?.pruner, context),
    },
  }
}

function pair(written: WrittenCredential | undefined, context: SecretContext): SecretPair | undefined {
  if (written === undefined) return undefined
  return {
    accessKey: half(written.access_key, written.access_key_file, context),
    secretKey: half(written.secret_key, written.secret_key_file, context),
  }
}

function half(text: string | undefined, file: string | undefined, context: SecretContext): SecretSource {
  return text === undefined
    ? { kind: 'file', paths: candidates(file ?? '', context) }
    : secretSource(text, context)
}

/** systemd's credentials folder first (systemd.exec(5), CREDENTIALS), then beside the configuration. */
function candidates(file: string, { file: config, environment }: SecretContext): readonly string[] {
  if (isAbsolute(file)) return [file]
  const given = environment['CREDENTIALS_DIRECTORY']
  const beside = resolve(dirname(config), file)
  return given !== undefined && isAbsolute(given) ? [join(given, file), beside] : [beside]
}
