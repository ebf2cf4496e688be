/**
 * SCRAM-SHA-256 as a client, without channel binding (RFC 5802, RFC 7677; PostgreSQL documentation, 55.3.1): the password
 * never leaves this process, and the server proves that it knows it as well.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import { CoffreError } from '../../errors.ts'
import type { Secret } from '../../model/secret.ts'

/** PostgreSQL's default is 4096; more than this is nobody's setting, and would hold up the thread. */
const mostIterations = 1_000_000

export class ScramClient {
  readonly #password: Secret
  readonly #nonce: string
  #first = ''
  #expected: Buffer | undefined

  /** The password in ASCII: others would have to be prepared by SASLprep (RFC 4013). `nonce` is given by tests only. */
  constructor(password: Secret, nonce = randomBytes(18).toString('base64')) {
    this.#password = password
    this.#nonce = nonce
  }

  /** `user`: PostgreSQL leaves it empty and takes the one of the startup message. */
  clientFirst(user = ''): string {
    this.#first = `n=${user},r=${this.#nonce}`
    return `n,,${this.#first}`
  }

  /** Throws ERR_CONNECT for what is not an answer to this client. */
  clientFinal(serverFirst: string): string {
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,7})$/.exec(serverFirst)
    const [, nonce = '', salt = '', count = ''] = match ?? []
    const iterations = Number(count)
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) throw refused('another nonce')
    if (iterations < 1 || iterations > mostIterations) throw refused(`${count} iterations`)
    const salted = pbkdf2Sync(this.#password.reveal(), Buffer.from(salt, 'base64'), iterations, 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const withoutProof = `c=biws,r=${nonce}`
    const message = `${this.#first},${serverFirst},${withoutProof}`
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message)
    this.#expected = hmac(hmac(salted, 'Server Key'), message)
    const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
  }

  /** Throws ERR_CONNECT unless the server knows the password, too. */
  verify(serverFinal: string): void {
    const [, signature = ''] = /^v=([A-Za-z0-9+/=]+)$/.exec(serverFinal) ?? []
    const said = Buffer.from(signature, 'base64')
    const expected = this.#expected
    if (expected === undefined || said.length !== expected.length || !timingSafeEqual(said, expected))
      throw refused('a signature that does not prove it knows the password')
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function refused(what: string): CoffreError {
  return new CoffreError('ERR_CONNECT', `the server answered the login with ${what}`)
}
