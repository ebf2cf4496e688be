/**
 * All sessions of one run, known by an application name that no other run has. Killing a client program ends its session
 * only where it runs on this host: behind a prefix (docker exec, kubectl exec, ssh) only the prefix is killed, and the
 * program behind it goes on, with its locks and its snapshot. And a server whose client is gone does not notice as long as
 * its session waits for a lock. So a run that fails ends its own sessions by their name.
 */
import { randomBytes } from 'node:crypto'
import type { ServerAccess } from './conninfo.ts'
import { PsqlSession, type SessionOptions } from './psql-session.ts'
import { quoteLiteral } from './quoting.ts'

/** 63 bytes is the most an application name keeps (PostgreSQL documentation, 20.8.2): the random tail must survive. */
export function newApplicationName(words: string): string {
  return `${words.slice(0, 50)} ${randomBytes(4).toString('hex')}`
}

/** Ends what is left of the role's sessions of that name, and waits until they are gone. */
export async function endSessions(session: PsqlSession, applicationName: string): Promise<void> {
  await session.execute(`SELECT pg_catalog.pg_terminate_backend(pid, 10000) FROM pg_catalog.pg_stat_activity
    WHERE application_name = ${quoteLiteral(applicationName)} AND usename = SESSION_USER AND pid <> pg_catalog.pg_backend_pid()`)
}

/** A server that is away must not hold up the error that says so. */
const tidyingLimitMs = 10_000

export class RunSessions implements AsyncDisposable {
  readonly #access: ServerAccess
  readonly #options: SessionOptions
  #ended = false

  /** `options` are those of the run's sessions. */
  constructor(access: ServerAccess, options: SessionOptions) {
    this.#access = access
    this.#options = options
  }

  /** All of them came to their end: nothing is left to tidy up. */
  allEnded(): void {
    this.#ended = true
  }

  /** Never throws: why the run failed is what counts. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    const { environment, applicationName } = this.#options
    const options = { environment, signal: AbortSignal.timeout(tidyingLimitMs) }
    try {
      const session = await PsqlSession.open(this.#access, {
        ...options,
        applicationName: 'coffre, tidying up',
      })
      await endSessions(session, applicationName)
      await session.close()
    } catch {
      // The server may be what failed.
    }
  }
}
