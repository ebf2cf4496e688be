/** PostgreSQL's protocol as it arrives, cut anywhere; and SCRAM by the example of its RFC. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Secret } from '../../src/model/secret.ts'
import { Incoming } from '../../src/postgres/wire/incoming.ts'
import { message, type Message } from '../../src/postgres/wire/messages.ts'
import { ScramClient } from '../../src/postgres/wire/scram.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'

/** Feeds it pieces as a socket does: what is left of one stands before the next. */
function takeAll(bytes: Buffer, sizes: readonly number[]): { rows: Buffer; messages: readonly Message[] } {
  const incoming = new Incoming()
  const rows: Buffer[] = []
  const messages: Message[] = []
  let rest = Buffer.alloc(0)
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    const piece = Buffer.concat([rest, bytes.subarray(at, at + size)])
    at += size
    const taken = incoming.take(piece)
    rows.push(Buffer.from(piece.subarray(0, taken.rowBytes)))
    messages.push(...taken.messages)
    rest = Buffer.from(piece.subarray(piece.length - taken.restBytes))
  }
  assert.equal(rest.length, 0)
  return { rows: Buffer.concat(rows), messages }
}

test('rows and messages are taken apart alike, wherever what arrives is cut', async (t) => {
  const row = fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ type: 'd', body: Buffer.from(bytes) }))
  const other = fc
    .tuple(fc.constantFrom(...'REZCGNSATDKHc'.split('')), fc.uint8Array({ maxLength: 30 }))
    .map(([type, bytes]) => ({ type, body: Buffer.from(bytes) }))
  const property = fc.property(
    fc.array(fc.oneof({ weight: 5, arbitrary: row }, other), { maxLength: 60 }),
    fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
    (sent, sizes) => {
      const { rows, messages } = takeAll(
        Buffer.concat(sent.map(({ type, body }) => message(type, body))),
        sizes,
      )
      assert.deepEqual(rows, Buffer.concat(sent.filter(({ type }) => type === 'd').map(({ body }) => body)))
      assert.deepEqual(
        messages,
        sent.filter(({ type }) => 'REZCG'.includes(type)),
      )
    },
  )
  await holds(t, property, 500)
})

test('what is no message is an error, and nothing is gathered without end', () => {
  const refused = coded('ERR_POSTGRES', /no message/)
  assert.throws(() => new Incoming().take(Buffer.from('5a00000003', 'hex')), refused)
  assert.throws(() => new Incoming().take(Buffer.from('527fffffff', 'hex')), refused)
})

// RFC 7677, 3.
const first = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
const final = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

function example(): ScramClient {
  const client = new ScramClient(new Secret('pencil'), 'rOprNGfwEbeRWgbNEkqO')
  assert.equal(client.clientFirst('user'), 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  return client
}

test('SCRAM-SHA-256: the example of RFC 7677', () => {
  const client = example()
  assert.equal(
    client.clientFinal(first),
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  )
  client.verify(final)
})

test('SCRAM-SHA-256: a server that does not know the password, or answers somebody else, is refused', () => {
  const refused = coded('ERR_CONNECT', /the server answered the login with/)
  const client = example()
  assert.throws(() => client.verify(final), refused)
  client.clientFinal(first)
  for (const forged of [final.replace('6', '7'), 'v=', 'e=other-error', ''])
    assert.throws(() => client.verify(forged), refused)
  for (const answer of [
    first.replace('r=r', 'r=x'),
    'r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    first.replace('4096', '0'),
    first.replace('4096', '9999999'),
    `${first},x=y`,
    '',
  ])
    assert.throws(() => example().clientFinal(answer), refused)
})
