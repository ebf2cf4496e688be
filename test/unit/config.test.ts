/**
 * The configuration: what it accepts and what it makes of it. What it refuses is in config-refusals.test.ts.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { inspect } from 'node:util'
import { type Config, type ConfigOptions, configJsonSchema, parseConfig } from '../../src/config.ts'
import { CoffreError } from '../../src/errors.ts'
import { providers, providerTraits } from '../../src/model/provider.ts'
import {
  complaints,
  inRun,
  inS3,
  inSource,
  inWriter,
  options,
  type Parts,
  pin,
  root,
  s3,
  written,
} from './config-sample.ts'

function parsed(parts: Parts, changed: Partial<ConfigOptions> = {}): Config {
  return parseConfig(written(parts), { ...options, ...changed })
}

function s3Of(config: Config) {
  const main = config.repositories.get('main')
  return main?.kind === 's3' ? main.s3 : assert.fail('not s3')
}

test('a full configuration becomes a Config with absolute paths and wrapped secrets', () => {
  const config = parseConfig(
    `sources:
  app: {database: app_db, user: app, run: [docker, exec, -i, app-postgres], jobs: 3, max_snapshot_age: 90m}
  other: {url: 'postgres://backup:hunter2@db.example/other'}
repositories:
  main:
    s3:
      provider: aws
      region: eu-west-3
      bucket: backups
      prefix: postgres/app
      endpoint: https://s3.example.org
      encryption: sse-kms
      kms_key: alias/coffre
      upload_limit: 50MB/s
      credentials:
        writer: {access_key: AKIA1, secret_key: env:STORE_SECRET}
        reader: {access_key_file: reader-access, secret_key_file: /run/reader-secret}
  second: {directory: nas}
trust: {root: '0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567'}
recipients:
  - {file: keys/a.asc, fingerprint: ${pin.toLowerCase()}}
  - {file: /keys/b.asc, fingerprint: ${root}}
signing: {key_file: signing.asc, role: host}
keys: {on_expired: refuse}
compression: {algorithm: gzip, level: 9}
nice: 5
`,
    {
      ...options,
      readableByOthers: false,
      environment: { STORE_SECRET: 'hunter3', CREDENTIALS_DIRECTORY: '/run/credentials/coffre' },
    },
  )
  assert.deepEqual([...config.sources.keys()], ['app', 'other'])
  assert.deepEqual(config.sources.get('app'), {
    name: 'app',
    access: {
      kind: 'prefix',
      run: ['docker', 'exec', '-i', 'app-postgres'],
      database: 'app_db',
      user: 'app',
    },
    jobs: 3,
    globals: 'used',
    maxSnapshotAgeMs: 5_400_000,
  })
  const other = config.sources.get('other')
  assert.ok(other?.access.kind === 'url')
  assert.equal(other.access.url.reveal(), 'postgres://backup:hunter2@db.example/other')
  const { credentials, ...store } = s3Of(config)
  assert.deepEqual(store, {
    provider: 'aws',
    endpoint: 'https://s3.example.org',
    region: 'eu-west-3',
    bucket: 'backups',
    prefix: 'postgres/app',
    encryption: 'sse-kms',
    kmsKey: 'alias/coffre',
    uploadBytesPerSecond: 50_000_000,
  })
  const { writer, reader } = credentials
  assert.ok(writer?.accessKey.kind === 'inline' && writer.secretKey.kind === 'environment')
  assert.equal(writer.accessKey.secret.reveal(), 'AKIA1')
  assert.equal(writer.secretKey.name, 'STORE_SECRET')
  assert.equal(writer.secretKey.secret.reveal(), 'hunter3')
  assert.deepEqual(reader, {
    accessKey: {
      kind: 'file',
      paths: ['/run/credentials/coffre/reader-access', '/etc/coffre/reader-access'],
    },
    secretKey: { kind: 'file', paths: ['/run/reader-secret'] },
  })
  assert.deepEqual(config.repositories.get('second'), {
    name: 'second',
    retention: undefined,
    copyTo: [],
    kind: 'directory',
    directory: '/etc/coffre/nas',
  })
  assert.deepEqual(config.trust, { root })
  assert.deepEqual(config.recipients, [
    { file: '/etc/coffre/keys/a.asc', fingerprint: pin },
    { file: '/keys/b.asc', fingerprint: root },
  ])
  assert.deepEqual(config.signing, { keyFile: '/etc/coffre/signing.asc', role: 'host' })
  assert.deepEqual(config.keys, { onExpired: 'refuse' })
  assert.deepEqual(config.compression, { algorithm: 'gzip', level: 9 })
  for (const printed of [inspect(config, { depth: 20, showHidden: true }), JSON.stringify([other, writer])]) {
    assert.doesNotMatch(printed, /hunter/)
    assert.match(printed, /\[secret\]/)
  }
})

test('what is left out has its default', () => {
  const config = parsed({ sources: '{app: {database: app}}' })
  assert.deepEqual(config.sources.get('app'), {
    name: 'app',
    access: { kind: 'prefix', run: [], database: 'app', user: undefined },
    jobs: 'auto',
    globals: 'used',
    maxSnapshotAgeMs: 86_400_000,
  })
  assert.deepEqual(s3Of(config), {
    provider: 'ovh',
    endpoint: undefined,
    region: 'gra',
    bucket: 'backups',
    prefix: '',
    encryption: 'sse-s3',
    kmsKey: undefined,
    uploadBytesPerSecond: undefined,
    credentials: { writer: undefined, reader: undefined, pruner: undefined },
  })
  assert.equal(config.signing, undefined)
  assert.deepEqual(config.keys, { onExpired: 'continue' })
  assert.deepEqual(config.compression, { algorithm: 'zstd', level: 'auto' })
  assert.equal(parsed({ more: 'signing: {key_file: /k}' }).signing?.role, 'host')
})

test('server-side encryption is on by default where the provider is known to have it', () => {
  for (const provider of providers) {
    const { address } = providerTraits[provider]
    const place = 'region' in address ? `region: ${address.region}` : `endpoint: ${address.endpoint}`
    const config = parsed(inS3(`provider: ${provider}, bucket: backups, ${place}`))
    const known = ['aws', 'ovh', 'scaleway', 'backblaze', 'wasabi'].includes(provider)
    assert.equal(s3Of(config).encryption, known ? 'sse-s3' : 'none', provider)
  }
})

test('accepted: what looks unusual but is right', () => {
  const accepted: Record<string, Parts> = {
    'http to this machine': inS3(`${s3}, endpoint: 'http://127.0.0.1:9000'`),
    'http to localhost': inS3(`${s3}, endpoint: 'http://localhost:9000'`),
    'http to ::1': inS3(`${s3}, endpoint: 'http://[::1]:9000'`),
    'sse at an own server': inS3(
      'provider: ceph, bucket: backups, endpoint: https://s3.example.org, encryption: sse-s3',
    ),
    'a role without the other': inWriter('access_key: AKIA1, secret_key_file: s'),
    'a url with postgresql://': inSource('url: postgresql://db.example/app'),
    'the level of zstd at its end': { more: 'compression: {level: 19}' },
    'a fingerprint that reads as a number': { trust: '{root: 1234567890123456789012345678901234567890}' },
    'a fingerprint that reads as infinity': { trust: '{root: 1234567890123456789012345678901234567E89}' },
    'a terminal switched off': inRun('docker, exec, -i, --tty=false, pg'),
    'a user whose name holds a t': inRun('docker, exec, -i, -u, root, pg'),
    '-t of the program inside': inRun('docker, exec, -i, pg, nsenter, -t, "1", -m'),
    'interactive by its long name': inRun('/usr/bin/docker, exec, --interactive, pg'),
    kubectl: inRun('kubectl, -n, db, exec, pg-0, -i, -c, postgres, --'),
    'docker compose': inRun('docker, compose, exec, -T, db'),
    'a container named ssh': inRun('docker, exec, -i, ssh'),
    sudo: inRun('sudo, -u, postgres'),
  }
  for (const [name, parts] of Object.entries(accepted)) assert.deepEqual(complaints(written(parts)), [], name)
  assert.equal(
    parsed({ trust: '{root: 1234567890123456789012345678901234567E89}' }).trust.root,
    '1234567890123456789012345678901234567E89',
  )
})

test('a relative …_file is beside the configuration where systemd gives no credentials', () => {
  for (const environment of [{}, { CREDENTIALS_DIRECTORY: 'relative' }, { CREDENTIALS_DIRECTORY: '' }]) {
    const { writer } = s3Of(
      parsed(inWriter('access_key_file: keys/a, secret_key_file: s'), { environment }),
    ).credentials
    assert.deepEqual(writer?.accessKey, { kind: 'file', paths: ['/etc/coffre/keys/a'] })
    assert.deepEqual(writer.secretKey, { kind: 'file', paths: ['/etc/coffre/s'] })
  }
})

test('all problems come at once, in the order of the lines, one line each with the fix', () => {
  const text = written({
    sources: '{app: {database: app, uzer: x, jobs: 0, run: [ssh, h]}}',
    repositories:
      '{main: {s3: {provider: ovh, bucket: B, lock: {}, kms_key: k, credentials: {writer: {access_key: env:NOPE}}}}}',
    trust: '{root: 12}',
    more: 'compression: {algorithm: gzip, level: 12}\ncompression: {algorithm: gzip, level: 12}',
  })
  const thrown = catchConfigError(text)
  const lines = thrown.message.split('\n')
  assert.equal(thrown.code, 'ERR_CONFIG')
  assert.equal(thrown.exitStatus, 2)
  assert.equal(lines.length, 12)
  for (const line of lines) assert.match(line, /^\/etc\/coffre\/coffre\.yaml:[1-6]: .+; .+$/)
  const numbers = lines.map((line) => Number(line.split(':')[1]))
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
  assert.ok(lines.includes('/etc/coffre/coffre.yaml:1: sources.app.uzer: unknown key; did you mean user?'))
})

function catchConfigError(text: string): CoffreError {
  try {
    parseConfig(text, options)
  } catch (thrown) {
    if (thrown instanceof CoffreError) return thrown
  }
  return assert.fail('no CoffreError')
}

test('the JSON Schema for editors describes what is accepted and nothing of later', () => {
  const text = JSON.stringify(configJsonSchema())
  const schema = JSON.parse(text)
  assert.equal(schema.$schema, 'http://json-schema.org/draft-07/schema#')
  assert.deepEqual(schema.required, ['sources', 'repositories', 'trust', 'recipients'])
  assert.equal(schema.additionalProperties, false)
  assert.deepEqual(Object.keys(schema.properties), [
    'sources',
    'repositories',
    'trust',
    'recipients',
    'signing',
    'keys',
    'operator',
    'compression',
    'nice',
    'retention',
  ])
  assert.deepEqual(
    schema.properties.repositories.additionalProperties.properties.s3.properties.provider.enum,
    [...providers],
  )
  assert.equal(schema.properties.sources.additionalProperties.properties.jobs.default, 'auto')
  assert.doesNotMatch(text, /objectives|driller/)
})

test('a retention is read with its defaults, and a repository’s own goes before it', () => {
  const config = parsed({
    repositories:
      '\n  main: {directory: /x}\n  second: {directory: /y, retention: {yearly: 7, timezone: Europe/Brussels}}',
    more: 'retention: {daily: 9, max_remove_fraction: 0.35, newest_within: 8d}',
  })
  const main = config.repositories.get('main')?.retention
  assert.deepEqual(main, {
    daily: 9,
    weekly: 4,
    monthly: 12,
    yearly: 'all',
    timeZone: 'UTC',
    minKeep: 3,
    maxRemoveFraction: 0.35,
    newestWithinMs: 8 * 24 * 3_600_000,
  })
  const second = config.repositories.get('second')?.retention
  assert.deepEqual(second, {
    ...main,
    daily: 7,
    yearly: 7,
    timeZone: 'Europe/Brussels',
    maxRemoveFraction: 0.2,
    newestWithinMs: 48 * 3_600_000,
  })
})

test('anchors and merge keys work', () => {
  const sources = '\n  one: &common {database: app, jobs: 2}\n  two: {<<: *common, database: two}'
  const two = parsed({ sources }).sources.get('two')
  assert.deepEqual(two?.access, { kind: 'prefix', run: [], database: 'two', user: undefined })
  assert.equal(two.jobs, 2)
})
