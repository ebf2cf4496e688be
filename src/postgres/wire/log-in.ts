/**
 * The beginning of a connection (PostgreSQL documentation, 55.2.1 Start-up): no password at all, or SCRAM-SHA-256. For any
 * other way there is psql.
 */
import { CoffreError } from '../../errors.ts'
import type { Secret } from '../../model/secret.ts'
import { message, type Message } from './messages.ts'
import { ScramClient } from './scram.ts'

export interface Exchange {
  readonly send: (bytes: Buffer) => Promise<void>
  /** Throws what the server refuses. */
  readonly receive: () => Promise<Message>
}

const ok = 0
const sasl = 10
const saslContinue = 11
const saslFinal = 12
const mechanism = 'SCRAM-SHA-256'

/** Until the server is ready for statements. Throws ERR_CONNECT, or what the server says. */
export async function logIn(
  startup: Buffer,
  password: Secret | undefined,
  exchange: Exchange,
): Promise<void> {
  await exchange.send(startup)
  const first = await request(exchange)
  if (first.code === sasl) await prove(first.text, password, exchange)
  else if (first.code !== ok) throw another()
  for (let type = ''; type !== 'Z'; ) ({ type } = await exchange.receive())
}

async function prove(offered: string, password: Secret | undefined, exchange: Exchange): Promise<void> {
  // What is not ASCII is prepared by rules of its own (RFC 4013).
  if (password === undefined || !/^[\x20-\x7e]+$/.test(password.reveal())) throw another()
  if (!offered.split('\0').includes(mechanism)) throw another()
  const client = new ScramClient(password)
  const first = Buffer.from(client.clientFirst())
  const length = Buffer.alloc(4)
  length.writeInt32BE(first.length)
  await exchange.send(message('p', `${mechanism}\0`, length, first))
  const challenge = await request(exchange, saslContinue)
  await exchange.send(message('p', client.clientFinal(challenge.text)))
  client.verify((await request(exchange, saslFinal)).text)
  await request(exchange, ok)
}

async function request(
  { receive }: Exchange,
  expected?: number,
): Promise<{ readonly code: number; readonly text: string }> {
  const { type, body } = await receive()
  if (type !== 'R' || body.length < 4)
    throw new CoffreError('ERR_CONNECT', 'the server does not answer the login')
  const code = body.readInt32BE(0)
  if (expected !== undefined && code !== expected) throw another()
  return { code, text: body.toString('utf8', 4) }
}

function another(): CoffreError {
  return new CoffreError('ERR_CONNECT', 'the server asks for another way to log in')
}
