/**
 * Every rule of the configuration, broken once: the problem stands on the right line, names the key, says what is
 * wrong and how to put it right.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  complaints,
  inRun,
  inS3,
  inSource,
  inWriter,
  type Parts,
  pin,
  s3,
  source,
  written,
} from './config-sample.ts'

/** What is written → how the problem starts, and after each ` … ` what else it says. */
type Refusals = Readonly<Record<string, string>>

function refuses(subject: string, at: string, parts: (text: string) => Parts, refusals: Refusals): void {
  for (const [text, said] of Object.entries(refusals)) {
    test(`refused ${subject}: ${text.replaceAll('\n', '⏎')}`, () => {
      const lines = complaints(written(parts(text)))
      const [start = '', ...rest] = said.split(' … ')
      const found = lines.find((line) => line.startsWith(`${at}${start}`))
      assert.ok(
        found !== undefined && rest.every((words) => found.includes(words)),
        `not said, but:\n${lines.join('\n')}`,
      )
      assert.doesNotMatch(lines.join('\n'), /hunter2/)
    })
  }
}

refuses('in a source', '1 sources.app', inSource, {
  'user: app': ': has neither url nor database; add',
  'url: postgres://h/d, database: d': '.database: cannot stand beside url; keep',
  'url: postgres://h/d, user: d': '.user: cannot stand beside url; keep',
  'url: postgres://h/d, run: [sudo]': '.run: cannot stand beside url; keep',
  'url: mysql://h/d': '.url: must be a URL postgres://… … ; for example url: postgres://',
  'database: 2024': '.database: must be the name of a database; put it in quotes',
  "database: ''": '.database: must be the name of a database; for example database: ',
  'database:': '.database: is empty; write database: koprogo_db, or remove it',
  'database: [a]': '.database: must be the name',
  'database: app, user: true': '.user: must be the name of a PostgreSQL role; put it in quotes',
  'database: app, jobs: 0': '.jobs: must be auto or a whole number from 1 to 64; for example jobs: auto',
  'database: app, jobs: 65': '.jobs: must be auto',
  'database: app, jobs: 1.5': '.jobs: must be auto',
  'database: app, jobs: all': '.jobs: must be auto',
  'database: app, max_snapshot_age: 0h':
    '.max_snapshot_age: must be a whole number from 1 and a unit: s, m, h, d or w; for example max_snapshot_age: 24h',
  'database: app, max_snapshot_age: 24': '.max_snapshot_age: must be a whole number from 1 and a unit',
  'database: app, max_snapshot_age: 1 year': '.max_snapshot_age: must be a whole number from 1 and a unit',
  'database: app, run: docker exec -i pg':
    '.run: must be a list of words … ; for example run: [docker, exec, -i, ',
  'database: app, run: []': '.run: must be a list of words',
  "database: app, run: [sudo, '']": '.run[1]: must be text that is not empty',
  'database: app, run: [sudo, 1]': '.run[1]: must be text that is not empty; put it in quotes',
  'database: app, uzer: x': '.uzer: unknown key; did you mean user?',
})

refuses('as a command prefix', '1 sources.app.run: ', inRun, {
  'docker, exec, -t, -i, pg':
    'a terminal (-t) between coffre and docker corrupts binary output; leave out -t',
  'docker, exec, -it, pg': 'a terminal',
  'docker, exec, -u, postgres, -ti, pg': 'a terminal',
  'docker, exec, -iu, postgres, -t, pg': 'a terminal',
  'sudo, /usr/bin/docker, exec, -i, --tty, pg': 'a terminal',
  'docker, exec, -i, --tty=true, pg': 'a terminal',
  'docker, compose, exec, -t, db': 'a terminal',
  'podman, exec, -it, pg': 'a terminal (-t) between coffre and podman',
  'kubectl, exec, -it, pg-0, --': 'a terminal (-t) between coffre and kubectl',
  'kubectl, exec, pg-0, -it, --': 'a terminal',
  'docker, exec, pg': 'docker exec without -i does not pass standard input on; add -i',
  'docker, exec, pg, -i': 'docker exec without -i',
  'ssh, db.example': 'ssh passes the words through a shell on the other machine … run coffre on that machine',
  'sudo, /usr/bin/ssh, db.example, docker, exec, -i, pg': 'ssh passes',
  'sshpass, -p, hunter2, ssh, db.example': 'ssh passes',
  'docker, exec, -i, -e, PGPASSWORD=hunter2, pg': 'a password in the words of a command can be seen',
  'env, PGPASSWORD=hunter2': 'a password in the words',
})

refuses('in s3', '2 repositories.main.s3.', inS3, {
  'region: gra, bucket: backups': 'provider: is missing; add provider: ovh',
  'provider: ovhh, region: gra, bucket: backups': 'provider: must be one of aws, ovh … ; did you mean ovh?',
  'provider: minio, bucket: backups': 'provider: must be one of aws, ovh … ; for example provider: ovh',
  'provider: ovh, region: gra': 'bucket: is missing; add bucket:',
  'provider: ovh, region: gra, bucket: Backups': 'bucket: must be the name of a bucket',
  'provider: ovh, region: GRA, bucket: backups':
    'region: must be a region, in lower case; for example region: gra',
  'provider: aws, region: eu-west-3, bucket: backups, encryption: sse-kms':
    'kms_key: is missing: sse-kms needs it; add',
  'provider: hetzner, region: fsn1, bucket: b-1, encryption: sse-s3':
    'encryption: sse-s3 is not to be had from hetzner; write encryption: none',
  [`${s3}, encryption: sse-kms, kms_key: k`]:
    'encryption: sse-kms is not to be had from ovh; write encryption: sse-s3 or',
  [`${s3}, encryption: sse-s4`]: 'encryption: must be one of sse-s3, sse-kms, none; did you mean sse-s3?',
  [`${s3}, kms_key: k`]: 'kms_key: is used by sse-kms only; write',
  [`${s3}, prefix: postgres/`]: 'prefix: must be names joined by /, without a slash',
  [`${s3}, prefix: ../x`]: 'prefix: must be names joined by /',
  [`${s3}, endpoint: http://s3.example.org`]: 'endpoint: must start with https://',
  [`${s3}, endpoint: http://127.0.0.1.example.org`]: 'endpoint: must start with https://',
  [`${s3}, endpoint: ftp://s3.example.org`]: 'endpoint: must start with https://',
  [`${s3}, endpoint: s3.example.org`]: 'endpoint: must be a URL; for example endpoint: https://',
  [`${s3}, endpoint: 'https://u:hunter2@s3.example.org'`]: 'endpoint: must not hold a user or a password',
  [`${s3}, endpoint: 'https://s3.example.org?x=1'`]: 'endpoint: must end with the host, or a path',
  [`${s3}, regoin: gra`]: 'regoin: unknown key; did you mean region?',
  [`${s3}, lock: {mode: governance}`]: 'lock: is not available in this version of coffre; remove it',
  [`${s3}, upload_limit: 50Mb/s`]:
    'upload_limit: must be a rate: kB/s, MB/s or GB/s; for example upload_limit: 50MB/s',
  [`${s3}, upload_limit: 0MB/s`]: 'upload_limit: must be',
  [`${s3}, credentials: {driller: {}}`]: 'credentials.driller: is not available in this version',
  [`${s3}, credentials: {raeder: {}}`]: 'credentials.raeder: unknown key; did you mean reader?',
})

refuses('as a credential', '2 repositories.main.s3.credentials.writer.', inWriter, {
  'access_key: A': 'secret_key: is missing; add secret_key_file: PATH, or secret_key: env:NAME',
  'secret_key_file: s': 'access_key: is missing; add access_key_file: PATH, or access_key: env:NAME',
  'access_key: A, access_key_file: a, secret_key_file: s':
    'access_key_file: cannot stand beside access_key; keep one',
  'access_key: A, secret_key: env:S, secret_key_file: s':
    'secret_key_file: cannot stand beside secret_key; keep one',
  'access_key: A, secret_key: 12345678': 'secret_key: must be a secret key, or env:NAME; put it in quotes',
  'access_key: A, secretKeyFile: s': 'secretKeyFile: unknown key; did you mean secret_key_file?',
  'access_key: A, secret_key:hunter2': '(a key not shown): unknown key',
  'access_key: A, secret_key_file: ~/s': 'secret_key_file: must be the path … (~ is not expanded)',
})

refuses('as sources', '1 sources', (sources) => ({ sources }), {
  '': ': is empty; write',
  '{}': ': names nothing; give at least one',
  '[]': ': must be a mapping from names to sources',
  '{app: text}': '.app: must be a mapping with url',
  [`{App: ${source}}`]: '.App: a name is made of small letters … ; for example main',
  [`{-app: ${source}}`]: '.-app: a name is made of small letters',
  [`{${'a'.repeat(64)}: ${source}}`]: '.(a key not shown): a name is made of small letters',
})

refuses('as repositories', '2 repositories', (repositories) => ({ repositories }), {
  '{}': ': names nothing; give at least one',
  '{main: {}}': '.main: has neither s3 nor directory; add',
  [`{main: {s3: {${s3}}, directory: /x}}`]: '.main.directory: cannot stand beside s3; give',
  '{main: {directory: ~/backups}}': '.main.directory: must be the path … (~ is not expanded)',
  '{main: {directory: /x, copy_to: [second]}}': '.main.copy_to[0]: is not the name of another repository',
  '{main: {directory: /x, copy_to: [main]}}': '.main.copy_to[0]: is not the name of another repository',
  '{main: {directory: /x, retention: {daily: some}}}': '.main.retention.daily: must be how many',
})

refuses('as trust', '3 trust', (trust) => ({ trust }), {
  '{}': '.root: is missing; add root: 0123',
  '{root: 89ABCDEF01234567}': '.root: must be a full fingerprint: 40 hexadecimal digits',
  '{root: 89ABCDEF0123456789ABCDEF0123456789ABCDEX}': '.root: must be a full fingerprint',
  [`{root: ${pin}0}`]: '.root: must be a full fingerprint',
})

refuses('as recipients', '', (recipients) => ({ recipients }), {
  '[]': '4 recipients: must be a list of at least one public key',
  '{}': '4 recipients: must be a list of at least one public key',
  '[{file: a.asc}]': '4 recipients[0].fingerprint: is missing; add fingerprint: ',
  [`[{fingerprint: ${pin}}]`]: '4 recipients[0].file: is missing; add file: ',
  [`\n- {file: a, fingerprint: ${pin}}\n- {file: b, fingerprint: ${pin.toLowerCase()}}`]:
    '6 recipients[1].fingerprint: the same recipient stands above; remove',
})

refuses('at the top', '', (more) => ({ more }), {
  'signing: {role: host}': '5 signing.key_file: is missing; add key_file:',
  'signing: {key_file: /k, role: driller}':
    '5 signing.role: driller is not available in this version of coffre; write role: host',
  'signing: {key_file: /k, role: hots}': '5 signing.role: must be host; did you mean host?',
  'keys: refuse': '5 keys: must be a mapping with on_expired',
  'keys:': '5 keys: is empty; write',
  'keys: {on_expired: refuze}': '5 keys.on_expired: must be continue or refuse; did you mean refuse?',
  'compression: {algorithm: lzma}':
    '5 compression.algorithm: must be zstd or gzip; for example algorithm: zstd',
  'compression: {level: 20}':
    '5 compression.level: must be auto or a whole number: zstd 1 to 19, gzip 1 to 9',
  'compression: {level: 0}': '5 compression.level: must be auto',
  'compression: {algorithm: gzip, level: 10}':
    '5 compression.level: gzip has the levels 1 to 9; write level: auto',
  'frobnicate: 1': '5 frobnicate: unknown key; known here: sources, repositories, trust',
  'retention: {dayly: 7}': '5 retention.dayly: unknown key; did you mean daily?',
  'retention: {timezone: Europe/Atlantis}': '5 retention.timezone: must be an IANA time zone',
  'retention: {min_keep: 0}': '5 retention.min_keep: must be a whole number from 1',
  'retention: {max_remove_fraction: 1.5}': '5 retention.max_remove_fraction: must be a number from 0 to 1',
  'retention: {daily: 0, weekly: 0, monthly: 0, yearly: 0}': '5 retention: keeps nothing but the newest',
  'operator: {}': '5 operator.key_file: is missing; add key_file:',
  'objectives: {}': '5 objectives: is not available in this version',
  'drill: {}': '5 drill: is not available in this version',
  'schedule: {}': '5 schedule: is not available in this version',
  'monitoring: {}': '5 monitoring: is not available in this version',
})

refuses('as YAML', '', (more) => ({ more }), {
  'keys: {on_expired: refuse}\nkeys: {}': '6 : the key keys is written twice; keep one',
  'keys:\n\ton_expired: refuse': '6 : a tab is used as indentation; indent with spaces',
  '---\na: 1': '5 : a second YAML document starts here; keep one',
  'keys: *k': '5 : an alias without its anchor; put text that starts with * in quotes',
  'keys: &k {a: *k}': '5 : an alias inside of what it stands for; write the values out',
  'keys: &k {<<: *k}': '5 : an alias inside of what it stands for',
  'keys: !k {}': '5 : an unknown YAML tag; put text that starts with ! in quotes',
  '[a]: 1': '5 : a key that is not plain text',
  'keys: {__proto__: 1}': '5 : a key named __proto__; choose another name',
  'keys: "': '5 : not well-formed YAML; check',
  'keys: {<<: text}': '1 : its aliases, merges or nesting cannot be resolved',
})

test('a single slip is a single problem', () => {
  const slips: readonly Parts[] = [
    inS3(`${s3}, endpoint: http://s3.example.org`),
    inS3(`${s3}, encryption: sse-kms, kms_key: k`),
    inS3(`${s3}, regoin: gra`),
    inRun('docker, exec, -it, pg'),
    inSource('database: app, jobs: 0'),
    { trust: '{root: 89ABCDEF01234567}' },
    { more: 'compression: {level: 20}' },
    { more: 'compression: {algorithm: gzip, level: 10}' },
    { sources: `{App: ${source}}` },
    { more: 'keys: "' },
  ]
  for (const parts of slips) assert.equal(complaints(written(parts)).length, 1, JSON.stringify(parts))
})

test('every provider asks for the region or the endpoint it needs', () => {
  const missing = (provider: string) => complaints(written(inS3(`provider: ${provider}, bucket: backups`)))
  for (const provider of ['aws', 'ovh', 'scaleway', 'backblaze', 'wasabi', 'hetzner']) {
    const said = `2 repositories.main.s3.region: is missing: ${provider} needs it; for example region: `
    assert.ok(missing(provider)[0]?.startsWith(said), provider)
  }
  for (const provider of ['r2', 'ceph', 'generic']) {
    const said = `2 repositories.main.s3.endpoint: is missing: ${provider} needs it; for example endpoint: `
    assert.ok(missing(provider)[0]?.startsWith(said), provider)
  }
})

test('a document that is no mapping, or is empty, is refused', () => {
  for (const text of ['', '# nothing', 'null', '~'])
    assert.match(complaints(text).join(), /^1 : the file is empty; write/)
  for (const text of ['text', '[1]', '42', 'true'])
    assert.match(complaints(text).join(), /^1 : must be a mapping with sources/)
  for (const missing of ['sources', 'repositories', 'trust', 'recipients']) {
    assert.ok(
      complaints('keys: {}').some((line) => line.startsWith(`1 ${missing}: is missing; add`)),
      missing,
    )
  }
})

test('a mistake deep in a block, or behind an anchor, is shown on the line where it is written', () => {
  const deep = '\n  app:\n    database: app\n\n    # a remark\n    run:\n      - sudo\n      - ""'
  assert.match(complaints(written({ sources: deep })).join('\n'), /^8 sources\.app\.run\[1\]: /)
  const merged = '\n  one: &common {database: app, jobs: 0}\n  two:\n    <<: *common\n    uzer: x'
  assert.deepEqual(
    complaints(written({ sources: merged })).map((line) => line.split(':')[0]),
    ['2 sources.one.jobs', '2 sources.two.jobs', '5 sources.two.uzer'],
  )
})

test('alias bombs and deep nesting are problems, not crashes', () => {
  const levels = Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}, *a${n}]`)
  const bomb = ['a0: &a0 [x, x]', ...levels].join('\n')
  for (const text of [bomb, '['.repeat(50_000), '{a: '.repeat(20_000)]) {
    const { length } = complaints(text)
    assert.ok(length > 0 && length < 4, `${length} problems`)
  }
})
