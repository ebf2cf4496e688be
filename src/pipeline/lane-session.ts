/** The one session of a lane, opened when first needed and again after a failure or for another server. */
import { asCoffreError } from '../errors.ts'
import { Secret } from '../model/secret.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import { PsqlSession } from '../postgres/psql-session.ts'
import type { Session } from '../postgres/session.ts'
import { WireSession } from '../postgres/wire/wire-session.ts'
import type { LaneConnection } from './lane-tasks.ts'

export class LaneSession {
  #open: { readonly key: string; readonly session: Session } | undefined

  async for(connection: LaneConnection, signal: AbortSignal): Promise<Session> {
    const key = JSON.stringify(connection)
    if (this.#open?.key !== key) {
      await this.close()
      this.#open = { key, session: await openSession(connection, signal) }
    }
    return this.#open.session
  }

  drop(): void {
    this.#open?.session.kill()
    this.#open = undefined
  }

  async close(): Promise<void> {
    const session = this.#open?.session
    this.#open = undefined
    await session?.close()
  }
}

export function accessOf({ access }: LaneConnection): ServerAccess {
  return { ...access, password: access.password === undefined ? undefined : new Secret(access.password) }
}

/** coffre's own connection where there is an address for it. What it cannot do, or only libpq can explain, psql does. */
async function openSession(connection: LaneConnection, signal: AbortSignal): Promise<Session> {
  const { environment, applicationName, wire } = connection
  const access = accessOf(connection)
  if (wire !== undefined) {
    try {
      return await WireSession.open(wire, access, { applicationName, signal })
    } catch (error) {
      if (asCoffreError(error).code === 'ERR_INTERRUPTED') throw error
    }
  }
  return await PsqlSession.open(access, { environment, applicationName, signal })
}
