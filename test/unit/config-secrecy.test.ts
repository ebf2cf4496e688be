/**
 * Secrets in the configuration, and two properties that hold for any text: nothing but ERR_CONFIG is thrown, and no
 * value is ever printed, so no secret is.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { stringify } from 'yaml'
import { type ConfigOptions, parseConfig } from '../../src/config.ts'
import { CoffreError } from '../../src/errors.ts'
import { Secret } from '../../src/model/secret.ts'
import { complaints, inSource, inWriter, model, options, written } from './config-sample.ts'

test('a secret shows itself only to reveal', () => {
  const secret = new Secret('hunter2')
  assert.equal(secret.reveal(), 'hunter2')
  const shown = [
    String(secret),
    JSON.stringify({ secret }),
    inspect([secret], { showHidden: true }),
    String([secret]),
  ]
  for (const text of shown) {
    assert.match(text, /\[secret\]/)
    assert.doesNotMatch(text, /hunter2/)
  }
})

test('a plain secret needs a file that others cannot read', () => {
  const plain = [
    inWriter('access_key: A, secret_key: hunter2'),
    inSource('url: postgres://app:hunter2@db/app'),
    inSource('url: postgres://app:hunter2/x@db/app'),
    inSource("url: 'postgres://db/app?password=hunter2'"),
    inSource("url: 'postgres://db/app?a=b&sslpassword=hunter2'"),
  ]
  for (const parts of plain) {
    const said = complaints(written(parts)).join('\n')
    assert.match(
      said,
      /: a plain secret in a file that others can read; chmod 600 \/etc\/coffre\/coffre\.yaml$/,
    )
    assert.doesNotMatch(said, /hunter2/)
    assert.deepEqual(complaints(written(parts), { readableByOthers: false }), [])
  }
  const without = [
    inWriter('access_key: A, secret_key: env:S'),
    inSource("url: 'postgres://app@db:5432/app'"),
    inSource("url: 'postgres://h1:1,h2:2/app'"),
  ]
  for (const parts of without) assert.deepEqual(complaints(written(parts), { environment: { S: 'x' } }), [])
})

test('env:NAME is the value of the variable, and a problem where there is none', () => {
  const environment = { DB: 'postgres://a:hunter2@db/app' }
  const access = parseConfig(written(inSource('url: env:DB')), { ...options, environment }).sources.get(
    'app',
  )?.access
  assert.ok(access?.kind === 'url')
  assert.equal(access.url.reveal(), environment.DB)
  const said = (text: string, environment: Record<string, string>) =>
    complaints(written(inSource(`url: '${text}'`)), { environment }).join('\n')
  assert.match(said('env:DB', {}), /^1 sources\.app\.url: the environment variable DB is not set; set it/)
  assert.match(said('env:DB', { DB: '' }), /variable DB is not set/)
  assert.match(
    said('env:DB', { DB: 'mysql://hunter2' }),
    /^1 sources\.app\.url: the variable must hold a URL/,
  )
  assert.match(said('env:a-b', {}), /env: is followed by the name of a variable/)
  assert.match(
    said('env:hunter2', {}),
    /^1 sources\.app\.url: the environment variable named here is not set/,
  )
  assert.match(said('env:toString', {}), /is not set/)
  assert.doesNotMatch(said('env:DB', { DB: 'mysql://hunter2' }), /hunter2/)
})

/** What is said of a text: nothing, or ERR_CONFIG with every message in its form; anything else fails the test. */
function survives(text: string, changed: Partial<ConfigOptions> = {}): string {
  try {
    parseConfig(text, { ...options, ...changed })
    return ''
  } catch (thrown) {
    assert.ok(thrown instanceof CoffreError, inspect(thrown))
    assert.equal(thrown.code, 'ERR_CONFIG')
    assert.equal(thrown.cause, undefined)
    for (const line of thrown.message.split('\n'))
      assert.match(line, /^\/etc\/coffre\/coffre\.yaml:[1-9]\d*: .+; .+$/)
    return `${thrown.message}\n${thrown.hint}`
  }
}

type Path = readonly string[]

function places(value: unknown, path: Path = []): readonly Path[] {
  const below = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [path, ...below.flatMap(([key, inner]) => places(inner, [...path, key]))]
}

/** The value with another one at the path. */
function replaced(value: unknown, [step, ...rest]: Path, by: unknown): unknown {
  if (step === undefined) return by
  if (Array.isArray(value)) {
    return value.map((inner: unknown, index) => (String(index) === step ? replaced(inner, rest, by) : inner))
  }
  const entries = Object.entries(value ?? {}) as readonly [string, unknown][]
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, key === step ? replaced(inner, rest, by) : inner]),
  )
}

const numRuns = 400
const seed = Date.now() % 2 ** 31
const parameters = { numRuns, seed, verbose: fc.VerbosityLevel.Verbose }
const signs = '{ } [ ] : , - & * ! < ? | > % @ ` " \' # ='.split(' ')

test('the model that the properties change is itself accepted', () => {
  assert.equal(survives(stringify(model), { environment: { S: 'x' } }), '')
})

test('any text throws nothing but ERR_CONFIG', (t) => {
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  const words = fc.constantFrom(...signs, '\n', '\t', ' ', '<<', '---', 'sources', 'run', '__proto__')
  const likeYaml = fc.array(fc.oneof(words, fc.string())).map((words) => words.join(''))
  const text = fc.oneof(fc.string({ unit: 'binary' }), likeYaml)
  fc.assert(
    fc.property(text, (text) => {
      survives(text)
    }),
    parameters,
  )
})

test('any values in the place of the right ones throw nothing but ERR_CONFIG', (t) => {
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  const value = fc.anything({
    values: [fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.integer()],
  })
  const edits = fc.array(fc.tuple(fc.constantFrom(...places(model)), value), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(edits, fc.boolean(), (edits, readableByOthers) => {
      const value = edits.reduce<unknown>((value, [path, by]) => replaced(value, path, by), model)
      survives(stringify(value, { keepUndefined: true }) ?? '', { readableByOthers, environment: { S: 'x' } })
    }),
    parameters,
  )
})

const around = fc
  .array(fc.constantFrom(...signs, ' ', 'env:', 'postgres://a:', '://', 'x'), { maxLength: 4 })
  .map((parts) => parts.join(''))
const secrets = fc.tuple(around, around).map(([before, after]) => `${before}Very/Secret+Words${after}`)

function assertHidden(said: string): void {
  assert.ok(!said.includes('Secret'), said)
}

test('no value of the configuration is ever printed, wherever it stands', (t) => {
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  fc.assert(
    fc.property(fc.constantFrom(...places(model)), secrets, fc.boolean(), (path, secret, listed) => {
      const value = replaced(model, path, listed ? [secret] : secret)
      assertHidden(survives(stringify(value), { environment: { S: secret } }))
    }),
    parameters,
  )
})

test('a secret stays hidden where a colon, a space or a quote is missing', (t) => {
  t.diagnostic(`seed ${seed}, cases ${numRuns}`)
  const keys = fc.constantFrom(
    'secret_key: ',
    'secret_key:',
    'secret_key',
    'secret_key=',
    'secret_key: |',
    '- ',
    'secret_key: "',
  )
  fc.assert(
    fc.property(keys, secrets, fc.boolean(), (key, secret, flow) => {
      const credential = flow
        ? `{access_key: A, ${key}${secret}}`
        : `\n          access_key: A\n          ${key}${secret}`
      const text = `repositories:\n  main:\n    s3:\n      provider: ovh\n      credentials:\n        writer: ${credential}\n`
      assertHidden(survives(text, { environment: { S: secret } }))
    }),
    parameters,
  )
})
