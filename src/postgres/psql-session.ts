/**
 * One psql kept open: statements go in by its stdin, rows and COPY data come out by its stdout. Every statement is
 * followed by a SELECT of an end marker that no data line can equal (`\.` and a nonce; COPY text never has a line
 * that begins with `\.`), sent in the same transaction: if the statement failed, the server refuses the marker too,
 * and ON_ERROR_STOP ends psql with status 3. So data without its marker is never taken for complete.
 * (psql 15 leaves :ERROR false after a COPY that failed half way; the marker does not rely on it.)
 */
import { randomBytes } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { startClient, writeTo, type ClientProcess, type StartOptions } from './client-tools.ts'
import { formatConninfo, type ServerAccess } from './conninfo.ts'
import { queryByCopy, sessionSettings, type Session } from './session.ts'

export interface SessionOptions extends StartOptions {
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
}

export class PsqlSession implements Session {
  readonly #client: ClientProcess
  readonly #output: AsyncIterator<Buffer>
  readonly #nonce = randomBytes(12).toString('hex')
  #statements = 0
  #busy = false

  private constructor(client: ClientProcess) {
    this.#client = client
    this.#output = (client.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  }

  /** Connects and applies the settings. Throws ERR_CONNECT or ERR_PROGRAM. */
  static async open(access: ServerAccess, options: SessionOptions): Promise<PsqlSession> {
    const session = await PsqlSession.connect(access, options)
    try {
      await session.prepare()
    } catch (error) {
      session.kill()
      throw error
    }
    return session
  }

  /**
   * Connects and changes nothing: behind a pooler, settings would stay in a connection that others use next. Nothing but
   * facts may be read before `prepare()`.
   */
  static async connect(access: ServerAccess, options: SessionOptions): Promise<PsqlSession> {
    const conninfo = formatConninfo(access, {
      application_name: options.applicationName,
      client_encoding: 'UTF8',
    })
    const args = [
      '-X',
      '-q',
      '-w',
      '-A',
      '-t',
      '-v',
      'ON_ERROR_STOP=1',
      '-v',
      'VERBOSITY=verbose',
      '-v',
      'SHOW_CONTEXT=never',
      '-d',
      conninfo,
    ]
    const session = new PsqlSession(await startClient(access, 'psql', args, options))
    session.#restrict()
    return session
  }

  /** Applies the settings that every value is read and written under. */
  async prepare(): Promise<void> {
    await this.execute(sessionSettings)
  }

  get pid(): number | undefined {
    return this.#client.pid
  }

  async execute(sql: string): Promise<void> {
    for await (const bytes of this.copyTo(sql)) void bytes
  }

  async query(select: string): Promise<readonly unknown[]> {
    return await queryByCopy(this, select)
  }

  /**
   * One row, in a transaction of its own that leaves nothing behind in the server's session: for sessions that are not
   * prepared. All of it is one message (PostgreSQL documentation, 55.2.2.1 Multiple Statements in a Simple Query), so that
   * neither a time-out nor an isolation level of the database holds for any part of it.
   */
  async glance(select: string): Promise<unknown> {
    this.#occupy()
    const marker = this.#nextMarker()
    // Whether a backslash stands for itself is a setting, too.
    const end = `pg_catalog.chr(10) || pg_catalog.chr(92) || '${marker.slice(1)}'`
    this.#client.stdin.write(`SET TRANSACTION ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE \\; SET LOCAL statement_timeout = 0 \\;
      SELECT pg_catalog.row_to_json(q)::pg_catalog.text || ${end} FROM (${select}) AS q;\n`)
    const parts: Buffer[] = []
    for await (const bytes of this.#outputUpTo(Buffer.from(`${marker}\n`))) parts.push(bytes)
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  }

  /** The output of one statement (COPY … TO STDOUT), in chunks as psql writes them, without the end marker. */
  async *copyTo(statement: string): AsyncGenerator<Buffer> {
    this.#occupy()
    this.#client.stdin.write(`${statement}\n;\n`)
    yield* this.#outputUpTo(this.#sendMarker())
  }

  async *#outputUpTo(marker: Buffer): AsyncGenerator<Buffer> {
    let held: Buffer = Buffer.alloc(0)
    for (;;) {
      const { value, done } = await this.#output.next()
      if (done === true) await this.#failed()
      const chunk: Buffer = held.length === 0 ? value : Buffer.concat([held, value])
      const start = startOfLastLine(chunk, marker.length)
      const lastLine = chunk.subarray(start)
      if (lastLine.equals(marker)) {
        if (start > 0) yield chunk.subarray(0, start)
        this.#busy = false
        return
      }
      held = marker.subarray(0, lastLine.length).equals(lastLine) ? lastLine : Buffer.alloc(0)
      if (chunk.length > held.length) yield chunk.subarray(0, chunk.length - held.length)
    }
  }

  /**
   * Sends data under one `COPY … FROM STDIN`. The data must be whole COPY text lines without an end marker of its own.
   * A caller that fails half way must `kill()` the session: psql takes an early end of input for the end of the data
   * and would commit it, were it not for the explicit transaction that every load runs in.
   */
  async copyFrom(statement: string, data: AsyncIterable<Buffer>): Promise<void> {
    this.#occupy()
    await this.#write(`${statement};\n`)
    try {
      for await (const bytes of data) await this.#write(bytes)
    } catch (error) {
      this.kill()
      throw error
    }
    await this.#write('\\.\n')
    // No empty statement: since August 2026 psql takes one here for a COPY that was refused, and skips what follows as its data.
    for await (const bytes of this.#outputUpTo(this.#sendMarker())) void bytes
  }

  /** Ends psql and checks its status. */
  async close(): Promise<void> {
    this.#client.stdin.end()
    this.#client.stdout.resume()
    await this.#client.done
  }

  kill(): void {
    this.#client.kill()
  }

  /**
   * psql takes no command of its own from here on (CVE-2025-8714; psql documentation, \restrict): a server that changes
   * the client's encoding could otherwise move the end of a quoted name and have the next one read as `\!`.
   */
  #restrict(): void {
    this.#client.stdin.write(`\\restrict ${this.#nonce}\n`)
  }

  #occupy(): void {
    if (this.#busy) throw new CoffreError('ERR_INTERNAL', 'a psql session carries one statement at a time')
    this.#busy = true
  }

  #nextMarker(): string {
    this.#statements += 1
    return `\\.${this.#nonce}-${this.#statements}`
  }

  #sendMarker(): Buffer {
    const marker = this.#nextMarker()
    this.#client.stdin.write(`SELECT '${marker}';\n`)
    return Buffer.from(`${marker}\n`)
  }

  /** A pipe that breaks tells nothing by itself: how psql ended does. */
  async #write(data: string | Buffer): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    if (!(await writeTo(this.#client, bytes))) await this.#failed()
  }

  async #failed(): Promise<never> {
    await this.#client.done
    throw new CoffreError('ERR_PROGRAM', 'psql ended before it was asked to')
  }
}

/** Where the last line begins; only lines short enough to be the marker (or a part of it) are told apart. */
function startOfLastLine(chunk: Buffer, markerLength: number): number {
  const from = Math.max(0, chunk.length - markerLength - 1)
  const newline = chunk.subarray(from, -1).lastIndexOf(10)
  if (newline >= 0) return from + newline + 1
  return from === 0 ? 0 : chunk.length
}
