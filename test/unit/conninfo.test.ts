/** Addresses of servers: URLs read as libpq reads them, values that arrive as they were written, passwords that show nowhere. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { inspect } from 'node:util'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import { Secret } from '../../src/model/secret.ts'
import {
  describeAccess,
  formatConninfo,
  inDatabase,
  parsePostgresUrl,
  type ServerAccess,
} from '../../src/postgres/conninfo.ts'
import { quoteIdentifier, quoteLiteral } from '../../src/postgres/quoting.ts'
import { coded } from '../contract/contract-materials.ts'
import { startOwnServer } from '../support/own-server.ts'
import { socketFolder, sql } from '../support/postgres.ts'
import { holds } from '../support/property.ts'
import { copied, openSession, testAccess } from '../support/session.ts'

const urls: readonly (readonly [
  url: string,
  parameters: Readonly<Record<string, string>>,
  password?: string,
])[] = [
  ['postgres://', {}],
  ['postgresql://', {}],
  ['postgres:///koprogo', { dbname: 'koprogo' }],
  ['postgres://db.example', { host: 'db.example' }],
  ['postgres://db.example/', { host: 'db.example' }],
  ['postgres://db.example:5433', { host: 'db.example', port: '5433' }],
  ['postgres://:5433/koprogo', { port: '5433', dbname: 'koprogo' }],
  ['postgres://ana@db.example/koprogo', { user: 'ana', host: 'db.example', dbname: 'koprogo' }],
  ['postgres://ana@/koprogo', { user: 'ana', dbname: 'koprogo' }],
  ['postgres://ana:pw@h/d', { user: 'ana', host: 'h', dbname: 'd' }, 'pw'],
  ['postgres://ana:@h/d', { user: 'ana', host: 'h', dbname: 'd' }],
  ['postgres://ana:a:b@h/d', { user: 'ana', host: 'h', dbname: 'd' }, 'a:b'],
  ['postgres://ana:%40%3A%2F%3F%23%25@h/d', { user: 'ana', host: 'h', dbname: 'd' }, '@:/?#%'],
  ['postgres://ana:+%20%C3%A9@h/d', { user: 'ana', host: 'h', dbname: 'd' }, '+ é'],
  ['postgres://a%40b:pw@h/d', { user: 'a@b', host: 'h', dbname: 'd' }, 'pw'],
  ['postgres://[::1]/d', { host: '::1', dbname: 'd' }],
  ['postgres://[2001:db8::7]:5433/d', { host: '2001:db8::7', port: '5433', dbname: 'd' }],
  ['postgres://[fe80::1%25eth0]/d', { host: 'fe80::1%eth0', dbname: 'd' }],
  ['postgres://a,b:5433,[::1]:5434/d', { host: 'a,b,::1', port: ',5433,5434', dbname: 'd' }],
  ['postgres://a,b/d', { host: 'a,b', dbname: 'd' }],
  ['postgres://%2Frun%2Fpostgresql/d', { host: '/run/postgresql', dbname: 'd' }],
  [
    'postgres:///d?host=%2Frun%2Fpostgresql&port=5433',
    { host: '/run/postgresql', port: '5433', dbname: 'd' },
  ],
  [
    'postgres://h/d?sslmode=verify-full&connect_timeout=10',
    { host: 'h', dbname: 'd', sslmode: 'verify-full', connect_timeout: '10' },
  ],
  ['postgres://h/d?options=-c%20geqo%3Doff', { host: 'h', dbname: 'd', options: '-c geqo=off' }],
  ['postgres://h/d?application_name=a=b', { host: 'h', dbname: 'd', application_name: 'a=b' }],
  ['postgres://h/d?', { host: 'h', dbname: 'd' }],
  ['postgres://ana:one@h/d?password=two', { user: 'ana', host: 'h', dbname: 'd' }, 'two'],
  ['postgres://ana@h/d?user=bob&dbname=e&host=i', { user: 'bob', host: 'i', dbname: 'e' }],
  ['postgres://h/a%2Fb', { host: 'h', dbname: 'a/b' }],
  ['postgres://h/a%3Db%27%5C', { host: 'h', dbname: "a=b'\\" }],
]

for (const [url, parameters, password] of urls) {
  test(`reads ${url}`, () => {
    const access = parsePostgresUrl(url)
    assert.deepEqual({ ...access.parameters }, parameters)
    assert.equal(access.password?.reveal(), password)
    assert.deepEqual(access.prefix, [])
  })
}

/** All hold `secret` where somebody may have meant a password. */
const refusals = [
  'postgres:/ana:secret@h/d',
  'POSTGRES://ana:secret@h/d',
  'mysql://ana:secret@h/d',
  'ana:secret@h/d',
  ' postgres://ana:secret@h/d',
  'postgres://ana:secret@h/d#fragment',
  'postgres://ana:a@secret@h/d',
  'postgres://ana:a/secret@h/d',
  'postgres://ana:1/secret@h/d',
  'postgres://ana:1?secret@h/d',
  'postgres://ana:1?x=secret@h/d#',
  'postgres://ana:1#secret@h/d',
  'postgres://ana:secret%@h/d',
  'postgres://ana:secret%zz@h/d',
  'postgres://ana:secret%C3@h/d',
  'postgres://ana:secret%00@h/d',
  'postgres://ana:secret%0A@h/d',
  'postgres://ana:secret@h/d%00',
  'postgres://ana:secret@h:port/d',
  'postgres://ana:secret@h:123456/d',
  'postgres://ana:secret@::1/d',
  'postgres://ana:secret@[::1/d',
  'postgres://ana:secret@h,i:j/d',
  'postgres://ana:secret@h/d?SSLMODE=require',
  'postgres://ana:secret@h/d?a b=c',
  'postgres://ana:secret@h/d?=x',
  'postgres://ana:secret@h/d?application_name=%',
  'postgres://ana@h/d?sslpassword=secret',
]

test('what cannot be read is refused, and nothing of it is shown: it may hold a password', () => {
  for (const url of refusals) {
    assert.throws(
      () => parsePostgresUrl(url),
      (error) => {
        assert.ok(coded('ERR_CONFIG')(error), url)
        assert.ok(error instanceof CoffreError)
        assert.doesNotMatch(
          `${error.message} ${error.hint} ${inspect(error)}`,
          /secret@|secret%|=secret|ana/,
          url,
        )
        return true
      },
      url,
    )
  }
})

test('a password is in nothing that is printed or handed to a program', async (t) => {
  const property = fc.property(fc.stringMatching(/^[a-z]{12}$/), (password) => {
    const access = parsePostgresUrl(`postgres://ana:${password}@h:1/d?sslmode=require`)
    const shown = [inspect(access), JSON.stringify(access), formatConninfo(access), describeAccess(access)]
    assert.ok(shown.every((text) => !text.includes(password)))
    assert.equal(access.password?.reveal(), password)
  })
  await holds(t, property, 50)
})

test('any text is read or refused, with ERR_CONFIG and nothing else', async (t) => {
  const parts = fc.constantFrom(
    'postgres://',
    '@',
    ':',
    '/',
    '?',
    '#',
    '%',
    '%41',
    '[',
    ']',
    ',',
    '=',
    '&',
    'a',
    '5',
  )
  const property = fc.property(
    fc.array(fc.oneof(parts, fc.string({ unit: 'binary', maxLength: 3 }))),
    (texts) => {
      try {
        parsePostgresUrl(texts.join(''))
      } catch (error) {
        coded('ERR_CONFIG')(error)
      }
    },
  )
  await holds(t, property, 1000)
})

test('where something is, for messages', () => {
  const access = parsePostgresUrl('postgres://ana:secret@db.example:5433/d?application_name=x')
  assert.equal(describeAccess(access), 'database "d" as ana at db.example:5433')
  const behind: ServerAccess = {
    prefix: ['docker', 'exec'],
    parameters: { dbname: 'it\'s "d"' },
    password: undefined,
  }
  assert.equal(describeAccess(behind), 'database "it\'s \\"d\\"" behind docker exec')
  assert.equal(
    describeAccess({ ...behind, prefix: [], parameters: {} }),
    'database "(default)" at local socket',
  )
})

/** What psql says of a place that is not there: libpq's own reading of it. */
function said(address: string): string {
  const { status, stderr } = spawnSync('psql', ['-X', '-w', '-d', address, '-c', 'SELECT 1'], {
    encoding: 'utf8',
  })
  assert.equal(status, 2, `${address}: ${stderr}`)
  return stderr
}

/** As long as a name can be, whatever its characters: 63 bytes. */
const name = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...Array.from('\'"\\ =:%/@-$\n\t{}')),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 20,
  })
  .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= 63)

test('any value goes through a conninfo string to the server unchanged', async (t) => {
  const property = fc.property(name, (database) => {
    const text = `absent ${database}`
    assert.ok(said(formatConninfo(testAccess(text))).includes(`database "${text}" does not exist`))
  })
  await holds(t, property, 60)
})

test('a URL means to coffre what it means to libpq', async (t) => {
  const encoded = name.map((text) => encodeURIComponent(text))
  const host = encodeURIComponent(socketFolder())
  const shape = fc.constantFrom(
    (one: string) => `postgres://postgres@${host}/absent%20${one}`,
    (one: string) => `postgres://absent%20${one}@${host}/postgres`,
    (one: string) => `postgresql:///absent%20${one}?host=${host}&user=postgres`,
    (one: string) =>
      `postgres://nobody@127.0.0.1:1/nothing?dbname=absent%20${one}&host=${host}&user=postgres&port=5432`,
  )
  const property = fc.property(encoded, shape, (one, urlOf) => {
    const url = urlOf(one)
    assert.equal(said(formatConninfo(parsePostgresUrl(url))), said(url), url)
  })
  await holds(t, property, 40)
})

test('databases with difficult names are reached, by psql and for every program after it', async (t) => {
  const names = [
    'a=b',
    "it's",
    'back\\slash',
    '-leading',
    'postgres://h/d',
    'host=nowhere',
    'two words',
    'Ünï "q"',
    "\\'",
  ]
  for (const one of names) {
    const database = `${one} ${process.pid}`
    await t.test(one, async () => {
      await sql('postgres', `CREATE DATABASE ${quoteIdentifier(database)}`)
      try {
        const session = await openSession(inDatabase(testAccess('postgres'), database))
        assert.deepEqual(await session.query('SELECT current_database() AS name'), [{ name: database }])
        await session.close()
      } finally {
        await sql('postgres', `DROP DATABASE ${quoteIdentifier(database)} WITH (FORCE)`)
      }
    })
  }
})

test('any password without a line break opens the session it belongs to', async (t) => {
  await using own = await startOwnServer()
  await sql('postgres', 'CREATE ROLE guarded LOGIN', [], own.server)
  await own.askPasswordOf('guarded')
  const access = (password: string): ServerAccess => ({
    prefix: [],
    parameters: { host: own.socketFolder, user: 'guarded', dbname: 'postgres' },
    password: new Secret(password),
  })
  const unit = fc.constantFrom(...Array.from(':\\\'" *#%@/éß€😀ab1'))
  const property = fc.asyncProperty(fc.string({ unit, minLength: 1, maxLength: 12 }), async (password) => {
    await sql('postgres', `ALTER ROLE guarded PASSWORD ${quoteLiteral(password)}`, [], own.server)
    const session = await openSession(access(password))
    assert.equal((await copied(session, 'COPY (SELECT current_user) TO STDOUT')).toString(), 'guarded\n')
    await session.close()
    await assert.rejects(
      openSession(access(`${password}x`)),
      coded('ERR_CONNECT', /password authentication failed/),
    )
  })
  await holds(t, property, 15)
})

test('a server that is gone without a word is noticed, unless the URL says otherwise', () => {
  const patient = formatConninfo(parsePostgresUrl('postgres://h/d'))
  for (const setting of ["connect_timeout='15'", "keepalives_idle='60'", "keepalives_count='6'"])
    assert.ok(patient.includes(setting), patient)
  const own = formatConninfo(parsePostgresUrl('postgres://h/d?connect_timeout=3'))
  assert.ok(own.includes("connect_timeout='3'") && !own.includes("connect_timeout='15'"), own)
})
