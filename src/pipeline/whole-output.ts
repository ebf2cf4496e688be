/**
 * Is what a client program wrote whole? Its status does not tell: `docker exec` and `kubectl exec` can lose the end of the
 * output and still end with 0. An archive is read to its end by pg_restore while it passes; globals end with a known line.
 */
import { CoffreError } from '../errors.ts'
import { startClient, writeTo, type ClientProcess, type StartOptions } from '../postgres/client-tools.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'

function cutShort(what: string, cause?: unknown): CoffreError {
  return new CoffreError(
    'ERR_PROGRAM',
    `${what} was cut short on its way here, though the program ended well`,
    {
      hint: 'look at the command prefix: something between the program and here loses the end of its output',
      cause,
    },
  )
}

export class ArchiveCheck {
  readonly #reader: ClientProcess

  private constructor(reader: ClientProcess) {
    this.#reader = reader
  }

  static async start(access: ServerAccess, options: StartOptions): Promise<ArchiveCheck> {
    const reader = await startClient(access, 'pg_restore', ['--file=/dev/null'], options)
    reader.stdout.resume()
    return new ArchiveCheck(reader)
  }

  async add(bytes: Buffer): Promise<void> {
    await writeTo(this.#reader, bytes)
  }

  /** Throws ERR_PROGRAM unless pg_restore understood it to the end. */
  async finish(): Promise<void> {
    this.#reader.stdin.end()
    try {
      await this.#reader.done
    } catch (cause) {
      if (cause instanceof CoffreError && cause.code === 'ERR_INTERRUPTED') throw cause
      throw cutShort('the archive', cause)
    }
  }

  stop(): void {
    this.#reader.kill()
  }
}

const lastLine = '-- PostgreSQL database cluster dump complete'

export class GlobalsCheck {
  #tail = ''

  async add(bytes: Buffer): Promise<void> {
    this.#tail = (this.#tail + bytes.toString('latin1')).slice(-400)
  }

  async finish(): Promise<void> {
    if (!this.#tail.includes(lastLine)) throw cutShort('the dump of roles')
  }

  stop(): void {
    this.#tail = ''
  }
}
