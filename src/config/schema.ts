/**
 * What a configuration may say: exactly the keys this version carries out. A key of a later version is an unknown
 * key, never one that is accepted and ignored; `laterKeys` only makes the message say so.
 * Descriptions and examples serve editors (JSON Schema) and messages (`must be …; for example …`) alike.
 */
import { z } from 'zod'
import { durationPattern } from '../model/duration.ts'
import { sourceNamePattern } from '../model/manifest.ts'
import { encryptions, providers } from '../model/provider.ts'
import { ratePattern } from '../model/rate.ts'
import {
  compressionRules,
  copyRules,
  credentialRules,
  isMapping,
  type Mapping,
  recipientRules,
  type Report,
  repositoryRules,
  retentionRules,
  s3Rules,
  sourceRules,
} from './rules.ts'

/** Keys (for `role`: values) of coffre's design that this version does not have yet. */
export const laterKeys = z.registry<{ readonly keys: readonly string[] }>()

/** A rule speaks whatever else is wrong, so that all problems come at once. */
const always = { when: () => true }

function reporter(context: z.RefinementCtx): Report {
  return (path, message, hint) =>
    context.addIssue({ code: 'custom', path: [...path], message, params: { hint } })
}

function rule(check: (mapping: Mapping, report: Report) => void) {
  return (value: unknown, context: z.RefinementCtx) => {
    if (isMapping(value)) check(value, reporter(context))
  }
}

/** For mappings of names. One whose names are all wrong looks empty too, but has been spoken of already. */
function notEmpty(value: unknown, context: z.RefinementCtx): void {
  if (!isMapping(value) || Object.keys(value).length > 0 || context.issues.length > 0) return
  reporter(context)([], 'names nothing', 'give at least one, under a name of your choice')
}

function text(description: string, example: string, pattern = /^[^\0]+$/) {
  return z
    .string()
    .regex(pattern)
    .meta({ description, examples: [example] })
}

/** For editors only; the rules say the same with better words. */
function oneOfKeys(...keys: readonly string[]) {
  return keys.map((key) => ({ required: [key] }))
}

const named = z.string().regex(sourceNamePattern)
const path = (example: string) =>
  text('the path of a file or folder (~ is not expanded)', example, /^(?!~)[^\0]+$/)
const fingerprint = text(
  'a full fingerprint: 40 hexadecimal digits, as gpg --show-keys prints it',
  '0123456789ABCDEF0123456789ABCDEF01234567',
  /^(?: *[0-9A-Fa-f]){40} *$/,
)

const source = z
  .strictObject({
    url: text(
      'a URL postgres://…, or env:NAME',
      'postgres://backup@db.example/koprogo_db',
      /^(postgres(ql)?:\/\/|env:)[^\0\r\n]+$/,
    ).optional(),
    database: text('the name of a database', 'koprogo_db').optional(),
    user: text('the name of a PostgreSQL role', 'koprogo').optional(),
    run: z
      .array(text('text that is not empty', 'docker'))
      .min(1)
      .meta({
        description: 'a list of words, put before every client program',
        examples: [['docker', 'exec', '-i', 'koprogo-postgres']],
      })
      .optional(),
    jobs: z
      .union([z.literal('auto'), z.int().min(1).max(64)])
      .meta({ description: 'auto or a whole number from 1 to 64', examples: ['auto'] })
      .default('auto'),
    globals: z
      .enum(['used', 'all'])
      .meta({
        description:
          'used or all: the roles and tablespaces this database refers to, or those of the whole server',
        examples: ['used'],
      })
      .default('used'),
    max_snapshot_age: z
      .stringFormat('length of time', durationPattern)
      .meta({
        description: 'a whole number from 1 and a unit: s, m, h, d or w',
        examples: ['24h'],
      })
      .default('24h'),
  })
  .superRefine(rule(sourceRules), always)
  .meta({
    description: 'a mapping with url, or with database, user and run',
    oneOf: oneOfKeys('url', 'database'),
  })

const credential = z
  .strictObject({
    access_key: text('an access key, or env:NAME', 'env:COFFRE_ACCESS_KEY').optional(),
    access_key_file: path('writer-access-key').optional(),
    secret_key: text('a secret key, or env:NAME', 'env:COFFRE_SECRET_KEY').optional(),
    secret_key_file: path('writer-secret-key').optional(),
  })
  .superRefine(rule(credentialRules), always)
  .meta({ description: 'a mapping with an access key and a secret key' })

const credentials = z
  .strictObject({
    writer: credential.optional(),
    reader: credential.optional(),
    pruner: credential.optional(),
  })
  .meta({ description: 'a mapping from a role (writer, reader, pruner) to its credential' })
  .register(laterKeys, { keys: ['driller'] })

const s3 = z
  .strictObject({
    provider: z.enum(providers).meta({ description: `one of ${providers.join(', ')}`, examples: ['ovh'] }),
    region: text('a region, in lower case', 'gra', /^[a-z0-9][a-z0-9-]*$/).optional(),
    bucket: text('the name of a bucket', 'koprogo-backups', /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
    prefix: text(
      'names joined by /, without a slash at the ends',
      'postgres',
      /^([A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*)?$/,
    ).default(''),
    endpoint: text('a URL', 'https://s3.example.org').optional(),
    encryption: z
      .enum(encryptions)
      .meta({ description: `one of ${encryptions.join(', ')}`, examples: ['sse-s3'] })
      .optional(),
    kms_key: text('the identifier of a key', 'alias/coffre').optional(),
    upload_limit: text('a rate: kB/s, MB/s or GB/s', '50MB/s', ratePattern).optional(),
    credentials: credentials.optional(),
  })
  .superRefine(rule(s3Rules), always)
  .meta({ description: 'a mapping with provider and bucket' })
  .register(laterKeys, { keys: ['lock'] })

const periods = (most: number) =>
  z.union([z.literal('all'), z.int().min(0).max(most)]).meta({
    description: `how many that have backups: a whole number from 0 to ${most}, or all`,
    examples: [7],
  })

const retention = z
  .strictObject({
    daily: periods(3660).default(7),
    weekly: periods(520).default(4),
    monthly: periods(1200).default(12),
    yearly: periods(100).default('all'),
    timezone: z
      .string()
      .meta({ description: 'an IANA time zone', examples: ['Europe/Brussels'] })
      .default('UTC'),
    min_keep: z
      .int()
      .min(1)
      .max(1000)
      .meta({ description: 'a whole number from 1 to 1000', examples: [3] })
      .default(3),
    max_remove_fraction: z
      .union([z.number().min(0).max(1), z.string().regex(/^(0(\.\d{1,6})?|\.\d{1,6}|1(\.0{1,6})?)$/)])
      .meta({ description: 'a number from 0 to 1', examples: [0.2] })
      .default(0.2),
    newest_within: z
      .stringFormat('length of time', durationPattern)
      .meta({ description: 'a whole number from 1 and a unit: s, m, h, d or w', examples: ['48h'] })
      .default('48h'),
  })
  .superRefine(rule(retentionRules), always)
  .meta({ description: 'a mapping with daily, weekly, monthly, yearly and guards' })

const repository = z
  .strictObject({
    s3: s3.optional(),
    directory: path('/mnt/nas/coffre').optional(),
    retention: retention.optional(),
    copy_to: z
      .array(named)
      .meta({ description: 'a list of names of repositories', examples: [['second']] })
      .default([]),
  })
  .superRefine(rule(repositoryRules), always)
  .meta({ description: 'a mapping with s3 or directory', oneOf: oneOfKeys('s3', 'directory') })

const recipient = z
  .strictObject({ file: path('keys/koprogo-2026.asc'), fingerprint })
  .meta({ description: 'a mapping with file and fingerprint' })

const compression = z
  .strictObject({
    algorithm: z
      .enum(['zstd', 'gzip'])
      .meta({ description: 'zstd or gzip', examples: ['zstd'] })
      .default('zstd'),
    level: z
      .union([z.literal('auto'), z.int().min(1).max(19)])
      .meta({ description: 'auto or a whole number: zstd 1 to 19, gzip 1 to 9', examples: ['auto'] })
      .default('auto'),
  })
  .superRefine(rule(compressionRules), always)
  .meta({ description: 'a mapping with algorithm and level' })
  .prefault({})

const role = z
  .enum(['host'])
  .meta({ description: 'host', examples: ['host'] })
  .register(laterKeys, { keys: ['driller', 'operator'] })

export const configSchema = z
  .strictObject({
    sources: z
      .record(named, source)
      .superRefine(notEmpty, always)
      .meta({ description: 'a mapping from names to sources' }),
    repositories: z
      .record(named, repository)
      .superRefine(notEmpty, always)
      .superRefine(rule(copyRules), always)
      .meta({ description: 'a mapping from names to repositories' }),
    trust: z.strictObject({ root: fingerprint }).meta({ description: 'a mapping with root' }),
    recipients: z
      .array(recipient)
      .min(1)
      .superRefine((value: unknown, context) => {
        if (Array.isArray(value)) recipientRules(value, reporter(context))
      }, always)
      .meta({ description: 'a list of at least one public key' }),
    signing: z
      .strictObject({ key_file: path('/etc/coffre/signing.asc'), role: role.default('host') })
      .meta({ description: 'a mapping with key_file and role' })
      .optional(),
    keys: z
      .strictObject({
        on_expired: z
          .enum(['continue', 'refuse'])
          .meta({ description: 'continue or refuse', examples: ['continue'] })
          .default('continue'),
      })
      .meta({ description: 'a mapping with on_expired' })
      .prefault({}),
    operator: z
      .strictObject({ key_file: path('/etc/coffre/operator.asc') })
      .meta({ description: 'a mapping with key_file' })
      .optional(),
    compression,
    nice: z
      .int()
      .min(0)
      .max(19)
      .meta({ description: 'a whole number from 0 to 19: how far coffre stands back', examples: [10] })
      .default(0),
    retention: retention.optional(),
  })
  .meta({ title: 'coffre.yaml', description: 'a mapping with sources, repositories, trust and recipients' })
  .register(laterKeys, {
    keys: ['objectives', 'drill', 'schedule', 'monitoring', 'lock'],
  })

export type WrittenConfig = z.output<typeof configSchema>
export type WrittenSource = z.output<typeof source>
export type WrittenS3 = z.output<typeof s3>
export type WrittenRetention = z.output<typeof retention>
export type WrittenCredential = z.output<typeof credential>

/** JSON Schema (draft 7, which editors read) of a configuration file as it is written. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, {
    target: 'draft-7',
    io: 'input',
    // Names of our own, which other readers of JSON Schema may refuse; the patterns say what they mean.
    override: ({ jsonSchema }) => delete jsonSchema.format,
  })
}
