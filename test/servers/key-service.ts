/**
 * The part of a key management service (HashiCorp Vault's transit engine) that Ceph's gateway asks for SSE-S3: it makes
 * data keys and opens them again. Loopback only, keys in memory: it ends, and with it everything that was encrypted.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface KeyService extends AsyncDisposable {
  readonly address: string
}

export async function startKeyService(): Promise<KeyService> {
  const keys = new Map<string, Buffer>()
  const answer = async (request: IncomingMessage): Promise<unknown> => {
    const path = request.url ?? ''
    const [, what = '', name = ''] =
      /^\/v1\/transit\/(datakey\/plaintext|decrypt|keys)\/([^/?]+)/.exec(path) ?? []
    const key = keys.get(name) ?? randomBytes(32)
    keys.set(name, key)
    if (what === 'keys') return { data: { name, type: 'aes256-gcm96', keys: { 1: 0 } } }
    if (what === 'datakey/plaintext') {
      const plain = randomBytes(32)
      return { data: { plaintext: plain.toString('base64'), ciphertext: `vault:v1:${wrap(plain, key)}` } }
    }
    if (what !== 'decrypt') return undefined
    const { ciphertext } = JSON.parse(await text(request)) as { ciphertext: string }
    return { data: { plaintext: unwrap(ciphertext.replace('vault:v1:', ''), key).toString('base64') } }
  }
  const server = createServer((request, response) => {
    answer(request).then(
      (document) =>
        response.writeHead(document === undefined ? 404 : 200).end(JSON.stringify(document ?? {})),
      () => response.writeHead(400).end('{"errors":["not one of mine"]}'),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function wrap(plain: Buffer, key: Buffer): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64')
}

function unwrap(wrapped: string, key: Buffer): Buffer {
  const bytes = Buffer.from(wrapped, 'base64')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
  decipher.setAuthTag(bytes.subarray(-16))
  return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
}
