/**
 * One run at a time for each source: a numbered, create-only object with an expiry. The next number can be taken by
 * only one writer, whatever the store; a lease that was never released ends by itself.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { decodeJson, encodeJson } from '../model/canonical-json.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'
import { leaseKey, leasesFolder } from './layout.ts'

const leaseSchema = z.strictObject({
  type: z.literal('coffre-lease'),
  holder: z.string(),
  acquiredAt: z.iso.datetime(),
  /** At or before now: free. A released lease is one that expired at once. */
  expiresAt: z.iso.datetime(),
})

export interface LeaseOptions {
  readonly source: string
  /** Who holds it, for the message others get: program, host, process. */
  readonly holder: string
  readonly durationMs: number
  readonly now: () => Date
}

export class Lease implements AsyncDisposable {
  readonly #store: ObjectStore
  readonly #options: LeaseOptions
  #number: number
  #renewal: NodeJS.Timeout | undefined
  #lost: CoffreError | undefined

  private constructor(store: ObjectStore, options: LeaseOptions, number: number) {
    this.#store = store
    this.#options = options
    this.#number = number
    this.#renewal = setInterval(() => void this.#renew(), options.durationMs / 3)
    this.#renewal.unref()
  }

  /** Throws ERR_LEASE_HELD while another run holds it. */
  static async acquire(store: ObjectStore, options: LeaseOptions): Promise<Lease> {
    const newest = await newestLease(store, options.source)
    if (newest !== undefined && newest.expiresAt > options.now()) {
      throw new CoffreError(
        'ERR_LEASE_HELD',
        `${newest.holder} is at work on ${options.source} until ${newest.expiresAt.toISOString()} at the latest`,
      )
    }
    const number = (newest?.number ?? 0) + 1
    await writeLease(store, options, number, options.durationMs)
    return new Lease(store, options, number)
  }

  /** To be called before anything is committed: throws when the lease could not be kept. */
  assertHeld(): void {
    if (this.#lost !== undefined) throw this.#lost
  }

  async #renew(): Promise<void> {
    try {
      await writeLease(this.#store, this.#options, this.#number + 1, this.#options.durationMs)
      this.#number += 1
    } catch (cause) {
      this.#lost = new CoffreError(
        'ERR_LEASE_HELD',
        `the lease on ${this.#options.source} could not be kept`,
        { cause },
      )
    }
  }

  /** Releases it; that failing only means that others wait until it expires. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#renewal)
    this.#renewal = undefined
    await writeLease(this.#store, this.#options, this.#number + 1, 0).catch(() => undefined)
  }
}

async function newestLease(
  store: ObjectStore,
  source: string,
): Promise<{ number: number; holder: string; expiresAt: Date } | undefined> {
  let key: string | undefined
  for await (const object of store.list(leasesFolder(source))) key = object.key
  const number = Number(/(\d{8,})\.json$/.exec(key ?? '')?.[1])
  if (key === undefined || Number.isNaN(number)) return undefined
  const parsed = leaseSchema.safeParse(decodeJson(await readObject(store, key, { limitBytes: 65536 }), key))
  if (!parsed.success) throw new CoffreError('ERR_FORMAT', `${key} is not a lease`)
  return { number, holder: parsed.data.holder, expiresAt: new Date(parsed.data.expiresAt) }
}

async function writeLease(
  store: ObjectStore,
  { source, holder, now }: LeaseOptions,
  number: number,
  durationMs: number,
): Promise<void> {
  const at = now()
  const lease = {
    type: 'coffre-lease',
    holder,
    acquiredAt: at.toISOString(),
    expiresAt: new Date(at.getTime() + durationMs).toISOString(),
  }
  try {
    await store.create(leaseKey(source, number), encodeJson(lease))
  } catch (error) {
    if (error instanceof CoffreError && error.code === 'ERR_EXISTS') {
      throw new CoffreError('ERR_LEASE_HELD', `another run took the lease on ${source} at the same moment`)
    }
    throw error
  }
}
