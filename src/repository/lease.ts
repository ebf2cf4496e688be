/**
 * One run at a time for each source: a numbered, create-only object with an expiry. The next number can be taken by
 * only one writer, whatever the store; a lease that was never released ends by itself, or when the next run on the same
 * machine sees that its holder is gone.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { decodeJson, encodeJson } from '../model/canonical-json.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'
import { holderProcessSchema, type Holder, type HolderProcess } from './holder.ts'
import { leaseKey, leasesFolder } from './layout.ts'

const leaseSchema = z.strictObject({
  type: z.literal('coffre-lease'),
  holder: z.string(),
  process: holderProcessSchema.nullable(),
  acquiredAt: z.iso.datetime(),
  /** At or before now: free. A released lease is one that expired at once. */
  expiresAt: z.iso.datetime(),
})

/** A store that is away must not hold up the error that says so. */
const releaseLimitMs = 5000

export interface LeaseOptions {
  readonly source: string
  readonly holder: Holder
  readonly durationMs: number
  readonly now: () => Date
}

export class Lease implements AsyncDisposable {
  /** The run whose lease was taken over, as it was killed; usually none. */
  readonly killedBefore: string | undefined
  readonly #store: ObjectStore
  readonly #options: LeaseOptions
  readonly #timer: NodeJS.Timeout
  #number: number
  #writing: Promise<void> = Promise.resolve()

  private constructor(
    store: ObjectStore,
    options: LeaseOptions,
    number: number,
    killedBefore: string | undefined,
  ) {
    this.#store = store
    this.#options = options
    this.#number = number
    this.killedBefore = killedBefore
    // A renewal that fails is tried again by the next; whether the lease could be kept is asked before anything counts.
    this.#timer = setInterval(
      () => void this.#write(options.durationMs).catch(() => undefined),
      options.durationMs / 3,
    )
    this.#timer.unref()
  }

  /** Throws ERR_LEASE_HELD while another run holds it. */
  static async acquire(store: ObjectStore, options: LeaseOptions): Promise<Lease> {
    const newest = await newestLease(store, options.source)
    const inForce = newest !== undefined && newest.expiresAt > options.now()
    const gone = inForce && newest.process !== null && (await options.holder.isGone(newest.process))
    if (inForce && !gone) {
      throw new CoffreError(
        'ERR_LEASE_HELD',
        `${newest.holder} is at work on ${options.source} until ${newest.expiresAt.toISOString()} at the latest`,
      )
    }
    const number = (newest?.number ?? 0) + 1
    await writeLease(store, options, number, options.durationMs)
    return new Lease(store, options, number, gone ? newest.holder : undefined)
  }

  /**
   * To be called right before anything is committed: renews once more, which only works as long as nobody else took the
   * next number, however long this run was asleep. Throws ERR_LEASE_HELD, or what the store says.
   */
  async assertHeld(): Promise<void> {
    await this.#write(this.#options.durationMs)
  }

  /** One after the other: each takes the number after the one before it. */
  async #write(durationMs: number, signal?: AbortSignal): Promise<void> {
    const write = async (): Promise<void> => {
      await writeLease(this.#store, this.#options, this.#number + 1, durationMs, signal)
      this.#number += 1
    }
    const written = this.#writing.then(write)
    this.#writing = written.catch(() => undefined)
    await written
  }

  /** Releases it; that failing only means that others wait until it expires. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#write(0, AbortSignal.timeout(releaseLimitMs)).catch(() => undefined)
  }
}

interface FoundLease {
  readonly number: number
  readonly holder: string
  readonly process: HolderProcess | null
  readonly expiresAt: Date
}

async function newestLease(store: ObjectStore, source: string): Promise<FoundLease | undefined> {
  let key: string | undefined
  let number = 0
  for await (const object of store.list(leasesFolder(source))) {
    const found = Number(/\/(\d{8,15})\.json$/.exec(object.key)?.[1])
    if (found > number) {
      number = found
      key = object.key
    }
  }
  if (key === undefined) return undefined
  const parsed = leaseSchema.safeParse(decodeJson(await readObject(store, key, { limitBytes: 65536 }), key))
  if (!parsed.success) throw new CoffreError('ERR_FORMAT', `${key} is not a lease`)
  return { ...parsed.data, number, expiresAt: new Date(parsed.data.expiresAt) }
}

async function writeLease(
  store: ObjectStore,
  { source, holder, now }: LeaseOptions,
  number: number,
  durationMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const at = now()
  const lease = {
    type: 'coffre-lease',
    holder: holder.name,
    process: holder.process ?? null,
    acquiredAt: at.toISOString(),
    expiresAt: new Date(at.getTime() + durationMs).toISOString(),
  }
  try {
    await store.create(leaseKey(source, number), encodeJson(lease), { signal })
  } catch (error) {
    if (error instanceof CoffreError && error.code === 'ERR_EXISTS') {
      throw new CoffreError(
        'ERR_LEASE_HELD',
        `another run took the lease on ${source}: it is no longer this one's`,
      )
    }
    throw error
  }
}
