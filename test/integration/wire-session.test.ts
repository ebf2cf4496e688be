/** coffre's own connection: the contract of all sessions, logging in, and when it is left to psql. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Secret } from '../../src/model/secret.ts'
import type { ServerAccess } from '../../src/postgres/conninfo.ts'
import { PsqlSession } from '../../src/postgres/psql-session.ts'
import { wireAddress } from '../../src/postgres/wire/wire-address.ts'
import { coded } from '../contract/contract-materials.ts'
import { sessionContract } from '../contract/session.contract.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { sql } from '../support/postgres.ts'
import { copied, environment, openWire, testAccess } from '../support/session.ts'

sessionContract('wire', openWire)

test('a row that a constraint refuses is not shown, nor a value of the wrong type; and there is no going on', async () => {
  const session = await openWire(testAccess('postgres'))
  await session.execute(`CREATE TEMP TABLE secrets (name text CHECK (name <> 'hidden'), n int)`)
  const refused = coded('ERR_POSTGRES', /23514: .*"secrets_name_check"$/)
  await assert.rejects(session.execute(`BEGIN; INSERT INTO secrets VALUES ('hidden', 4711)`), refused)
  await assert.rejects(session.execute('COMMIT'), refused)
  const another = await openWire(testAccess('postgres'))
  await assert.rejects(
    another.execute(`SELECT 'my secret'::int`),
    (error: Error) => /22P02/.test(error.message) && !/my secret/.test(error.message),
  )
})

test('whoever goes on with a session that was closed is told', async () => {
  const session = await openWire(testAccess('postgres'))
  assert.equal((await copied(session, 'COPY (SELECT 1) TO STDOUT')).toString(), '1\n')
  await session.close()
  await session.close()
  await assert.rejects(session.execute('SELECT 1'), coded('ERR_POSTGRES', /connection to server was lost/))
})

describe('logging in', () => {
  let server: OwnServer
  let access: ServerAccess
  before(async () => {
    server = await startOwnServer()
    await sql(
      'postgres',
      `CREATE ROLE told LOGIN PASSWORD 'sésame 1'; CREATE ROLE plain LOGIN PASSWORD 'open, "sesame" \\'`,
      [],
      server.server,
    )
    for (const role of ['told', 'plain']) await server.askPasswordOf(role)
    access = {
      prefix: [],
      parameters: { host: server.socketFolder, dbname: 'postgres', user: 'plain' },
      password: new Secret('open, "sesame" \\'),
    }
  })
  after(() => server[Symbol.asyncDispose]())

  test('with a password by SCRAM, and a wrong one is refused', async () => {
    const session = await openWire(access)
    assert.deepEqual(await session.query('SELECT current_user AS me'), [{ me: 'plain' }])
    await session.close()
    await assert.rejects(
      openWire({ ...access, password: new Secret('closed') }),
      coded('ERR_CONNECT', /28P01: password authentication failed/),
    )
  })

  test('without a password, or with one that is not ASCII, is left to libpq', async () => {
    const left = coded('ERR_CONNECT', /another way to log in/)
    await assert.rejects(openWire({ ...access, password: undefined }), left)
    const parameters = { ...access.parameters, user: 'told' }
    await assert.rejects(openWire({ ...access, parameters, password: new Secret('sésame 1') }), left)
  })

  test('a server that does not prove it knows the password is not believed, and one that asks for it in clear does not get it', async () => {
    const got: Buffer[] = []
    const asks = (socket: Socket): void => {
      // AuthenticationCleartextPassword.
      socket.once('data', () => {
        socket.write(Buffer.from('520000000800000003', 'hex'))
        socket.on('data', (bytes: Buffer) => got.push(bytes))
      })
    }
    await using listening = createServer(asks).listen(0, '127.0.0.1')
    await new Promise((resolve) => listening.once('listening', resolve))
    const address = listening.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const parameters = { ...access.parameters, host: '127.0.0.1', port }
    await assert.rejects(openWire({ ...access, parameters }), coded('ERR_CONNECT', /another way to log in/))
    assert.equal(Buffer.concat(got).length, 0)
  })
})

describe('its address', () => {
  const found = async (access: ServerAccess, more: Readonly<Record<string, string>> = {}) => {
    const session = await PsqlSession.open(access, {
      environment: { ...environment, ...more },
      applicationName: 'coffre test',
    })
    try {
      return await wireAddress(session, access, { ...environment, ...more })
    } finally {
      session.kill()
    }
  }
  const access = testAccess('postgres')
  const { host = '' } = access.parameters

  test('is where libpq came out, whatever told it', async () => {
    const expected = { host, port: 5432, user: 'postgres', database: 'postgres' }
    assert.deepEqual(await found(access), expected)
    const bare = { ...access, parameters: { dbname: 'postgres' } }
    assert.deepEqual(await found(bare, { PGHOST: host, PGUSER: 'postgres' }), expected)
  })

  test('is none behind a prefix, or where more is demanded than a plain connection', async () => {
    assert.equal(await found({ ...access, prefix: ['env'] }), undefined)
    const demanding = { ...access, parameters: { ...access.parameters, keepalives_idle: '7' } }
    assert.equal(await found(demanding), undefined)
    assert.equal(await found(access, { PGREQUIREPEER: 'postgres' }), undefined)
  })
})
