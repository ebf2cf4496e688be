/**
 * coffre's own connection: PostgreSQL's protocol over a socket, without psql between (decisions/0007). Rows are read into one
 * piece of memory that is used again and again; the server waits while nobody asks for more.
 */
import { createConnection, type Socket } from 'node:net'
import { CoffreError } from '../../errors.ts'
import type { ServerAccess } from '../conninfo.ts'
import { queryByCopy, sessionSettings, type Session } from '../session.ts'
import { Incoming } from './incoming.ts'
import { classifyLoss } from '../server-message.ts'
import { copyDataHead, message, queryMessage, refusal, startupMessage, type Message } from './messages.ts'
import { logIn } from './log-in.ts'
import type { WireAddress } from './wire-address.ts'

export interface WireOptions {
  readonly signal?: AbortSignal | undefined
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
}

/** As much as a socket between processes of one machine gives at once. */
const readBytes = 256 * 1024
/** From the first byte to the login: libpq gets as long (conninfo.ts). */
const loginLimitMs = 15_000

interface Arrived {
  /** Overwritten when more is asked for. */
  readonly rows: Buffer
  readonly messages: readonly Message[]
}

export class WireSession implements Session {
  readonly #socket: Socket
  readonly #signal: AbortSignal | undefined
  readonly #memory = Buffer.allocUnsafeSlow(readBytes)
  readonly #incoming = new Incoming()
  /** The beginning of a message whose rest has not arrived. */
  #rest = Buffer.alloc(0)
  #arrived: Arrived | undefined
  #lost: CoffreError | undefined
  #wake: (() => void) | undefined
  #busy = false
  readonly #kill = (): void => void this.#socket.destroy()

  private constructor({ host, port }: WireAddress, signal: AbortSignal | undefined) {
    const place = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
    const onread = {
      buffer: () => this.#memory.subarray(this.#rest.length),
      callback: (lengthBytes: number) => this.#take(lengthBytes),
    }
    this.#socket = createConnection({ ...place, onread, noDelay: true, keepAlive: true })
    this.#signal = signal
    this.#socket.on('error', (cause) => this.#lose(cause))
    this.#socket.on('close', () => this.#lose())
    signal?.addEventListener('abort', this.#kill, { once: true })
  }

  /** Throws ERR_CONNECT, also for a way to log in that only libpq knows; ERR_INTERRUPTED. */
  static async open(
    address: WireAddress,
    { parameters, password }: ServerAccess,
    { signal, applicationName }: WireOptions,
  ): Promise<WireSession> {
    signal?.throwIfAborted()
    const session = new WireSession(address, signal)
    const timer = setTimeout(() => session.kill(), loginLimitMs)
    try {
      const startup = startupMessage({
        user: address.user,
        database: parameters['dbname'] ?? address.database,
        application_name: applicationName,
        client_encoding: 'UTF8',
        ...(parameters['options'] === undefined ? {} : { options: parameters['options'] }),
      })
      await logIn(startup, password, {
        send: (bytes) => session.#send(bytes),
        receive: () => session.#message(),
      })
      await session.execute(sessionSettings)
      return session
    } catch (error) {
      session.kill()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  async execute(sql: string): Promise<void> {
    this.#occupy()
    await this.#send(queryMessage(sql))
    await this.#untilReady()
    this.#busy = false
  }

  async query(select: string): Promise<readonly unknown[]> {
    return await queryByCopy(this, select)
  }

  async *copyTo(statement: string): AsyncGenerator<Buffer> {
    this.#occupy()
    await this.#send(queryMessage(statement))
    let failure: CoffreError | undefined
    let complete = false
    for (let ready = false; !ready; ) {
      const { rows, messages } = await this.#next(failure)
      if (rows.length > 0) yield rows
      for (const { type, body } of messages) {
        if (type === 'E') failure ??= refusal(body)
        if (type === 'C') complete = true
        if (type === 'Z') ready = true
      }
    }
    if (failure === undefined && !complete)
      failure = new CoffreError('ERR_POSTGRES', 'the server ended a COPY without completing it')
    if (failure !== undefined) this.#end(failure)
    this.#busy = false
  }

  async copyFrom(statement: string, data: AsyncIterable<Buffer>): Promise<void> {
    this.#occupy()
    await this.#send(queryMessage(statement))
    try {
      await this.#invitation()
      const reply = this.#untilReady()
      let refused = false
      reply.catch(() => (refused = true))
      for await (const bytes of data) {
        // The server throws away what comes after its refusal.
        if (refused) break
        await this.#send(copyDataHead(bytes.length), bytes)
      }
      if (!refused) await this.#send(message('c'))
      await reply
    } catch (error) {
      this.kill()
      throw error
    }
    this.#busy = false
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
    if (this.#socket.closed) return
    this.#socket.end(message('X'))
    this.#socket.resume()
    await closed
    this.#signal?.removeEventListener('abort', this.#kill)
  }

  kill(): void {
    this.#signal?.removeEventListener('abort', this.#kill)
    this.#socket.destroy()
  }

  #occupy(): void {
    if (this.#lost !== undefined) throw this.#lost
    if (this.#busy) throw new CoffreError('ERR_INTERNAL', 'a session carries one statement at a time')
    this.#busy = true
  }

  /** Until the server has said whether it takes data. Throws what it refused the statement for. */
  async #invitation(): Promise<void> {
    const { type } = await this.#message()
    if (type !== 'G') throw new CoffreError('ERR_POSTGRES', 'the server asks for no data')
  }

  /** The next one, where one at a time comes. Throws what an ErrorResponse says. */
  async #message(): Promise<Message> {
    for (;;) {
      const { messages } = await this.#next()
      const [first, ...more] = messages
      if (first === undefined) continue
      if (first.type === 'E') throw refusal(first.body)
      if (more.length > 0) this.#arrived = { rows: Buffer.alloc(0), messages: more }
      return first
    }
  }

  /** To the end of what was sent. Throws the first thing that the server refused. */
  async #untilReady(): Promise<void> {
    let failure: CoffreError | undefined
    for (let ready = false; !ready; ) {
      for (const { type, body } of (await this.#next(failure)).messages) {
        if (type === 'E') failure ??= refusal(body)
        if (type === 'Z') ready = true
      }
    }
    if (failure !== undefined) this.#end(failure)
  }

  /**
   * As psql does: after a refusal there is no going on. A COMMIT of what was refused would end well, and roll back
   * (PostgreSQL documentation, COMMIT is answered by ROLLBACK there).
   */
  #end(failure: CoffreError): never {
    this.#lose(failure)
    this.kill()
    throw failure
  }

  /** `failure`: what counts if nothing more comes. */
  async #next(failure?: CoffreError): Promise<Arrived> {
    while (this.#arrived === undefined) {
      if (this.#lost !== undefined) throw failure ?? this.#lost
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      this.#read()
      await woken
    }
    const arrived = this.#arrived
    this.#arrived = undefined
    return arrived
  }

  #read(): void {
    this.#rest.copy(this.#memory)
    this.#socket.resume()
  }

  /** Called by the socket with each piece; false: no more for now. */
  #take(lengthBytes: number): boolean {
    try {
      const bytes = this.#memory.subarray(0, this.#rest.length + lengthBytes)
      const { rowBytes, messages, restBytes } = this.#incoming.take(bytes)
      this.#rest = Buffer.from(bytes.subarray(bytes.length - restBytes))
      if (rowBytes === 0 && messages.length === 0) {
        this.#rest.copy(this.#memory)
        return true
      }
      this.#arrived = { rows: this.#memory.subarray(0, rowBytes), messages }
    } catch (error) {
      this.#lose(error)
      this.#socket.destroy()
    }
    this.#wake?.()
    return false
  }

  #lose(cause?: unknown): void {
    this.#lost ??=
      this.#signal?.aborted === true
        ? new CoffreError('ERR_INTERRUPTED', 'the session was interrupted')
        : cause instanceof CoffreError
          ? cause
          : classifyLoss(cause)
    this.#wake?.()
  }

  /**
   * Waits until it is on its way, so that the memory may be used again. That the server takes nothing any more is said by what it
   * sends, or by the end.
   */
  async #send(bytes: Buffer, data?: Buffer): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.#socket.off('close', go)
        resolve()
      }
      this.#socket.on('close', go)
      this.#socket.cork()
      if (data === undefined) this.#socket.write(bytes, go)
      else {
        this.#socket.write(bytes)
        this.#socket.write(data, go)
      }
      this.#socket.uncork()
    })
  }
}
