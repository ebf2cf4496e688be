/**
 * An HTTP proxy before a real S3 server that goes wrong on request: it cuts connections, falls silent, loses answers
 * or gives its own. What is not told to go wrong passes unchanged, so that signatures still hold.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export type Fault =
  /** Answers by itself; the server hears nothing. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body: string
      readonly headers?: Readonly<Record<string, string>>
    }
  /** Passes the answer, but for one of its headers, which gets another value or none. */
  | { readonly kind: 'change-header'; readonly header: string; readonly value?: string }
  /** The server does what it was asked, and nobody hears of it. */
  | { readonly kind: 'lose-answer' }
  /** The connection is cut after so many bytes of the request's body. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  | { readonly kind: 'cut-answer'; readonly afterBytes: number }
  /** Passes so many bytes of the answer's body, then nothing more. */
  | { readonly kind: 'freeze-answer'; readonly afterBytes: number }
  /** Takes no byte of the request's body, and never answers. */
  | { readonly kind: 'silence' }

export interface FaultyProxy {
  readonly endpoint: string
  /** Method and path of every request so far. */
  readonly requests: readonly string[]
  /** Asked for each request; undefined lets it pass. */
  decide: (request: http.IncomingMessage) => Fault | undefined
  close(): Promise<void>
}

export async function startFaultyProxy(upstream: string): Promise<FaultyProxy> {
  const requests: string[] = []
  const proxy: Pick<FaultyProxy, 'decide'> = { decide: () => undefined }
  const handle = (
    request: http.IncomingMessage,
    response: http.ServerResponse,
    sayContinue: () => void,
  ): void => {
    requests.push(`${request.method} ${request.url}`)
    const fault = proxy.decide(request)
    if (fault?.kind === 'silence') return
    sayContinue()
    if (fault?.kind === 'answer') {
      request.resume().once('end', () => {
        response
          .writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers })
          .end(fault.body)
      })
    } else if (fault?.kind === 'cut-request') {
      let taken = 0
      if (fault.afterBytes === 0) request.socket.destroy()
      request.on('data', (chunk: Buffer) => {
        taken += chunk.length
        if (taken >= fault.afterBytes) request.socket.destroy()
      })
    } else {
      forward(upstream, request, response, fault)
    }
  }
  const server = http.createServer((request, response) => handle(request, response, () => undefined))
  server.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => {
    handle(request, response, () => response.writeContinue())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return Object.assign(proxy, {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}

function forward(
  upstream: string,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  fault: Fault | undefined,
): void {
  const { hostname, port } = new URL(upstream)
  const options = { hostname, port, method: request.method, path: request.url, agent: false }
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== 'expect'))
  const onward = http.request({ ...options, headers }, (answer) => {
    if (fault?.kind === 'lose-answer') {
      answer.resume().once('end', () => request.socket.destroy())
      return
    }
    if (fault?.kind === 'change-header') {
      const { [fault.header]: _, ...others } = answer.headers
      const changed = fault.value === undefined ? {} : { [fault.header]: fault.value }
      response.writeHead(answer.statusCode ?? 502, { ...others, ...changed })
      answer.pipe(response)
      return
    }
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    if (fault === undefined) {
      answer.pipe(response)
      return
    }
    let left = 'afterBytes' in fault ? fault.afterBytes : 0
    answer.on('data', (chunk: Buffer) => {
      const passed = chunk.subarray(0, left)
      left -= passed.length
      response.write(passed, () => {
        if (left === 0 && fault.kind === 'cut-answer') request.socket.destroy()
      })
    })
  })
  onward.on('error', () => request.socket.destroy())
  response.on('close', () => onward.destroy())
  request.pipe(onward)
}
