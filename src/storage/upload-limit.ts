/**
 * A bandwidth limit that all uploads of one store share: before something is sent its turn is waited for, and its turn is over when
 * the line would have taken it at that rate. What is sent in one go, a part, goes at the line's own speed: over longer than a few
 * parts the rate is kept, within one it is not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfInterrupted } from './interruptible.ts'

export interface Clock {
  readonly nowMs: () => number
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>
}

const systemClock: Clock = {
  nowMs: () => performance.now(),
  wait: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => throwIfInterrupted(signal))
  },
}

export class UploadLimit {
  readonly #bytesPerMs: number
  readonly #clock: Clock
  /** When the line has taken everything that was given a turn so far. */
  #freeAtMs = Number.NEGATIVE_INFINITY

  constructor(bytesPerSecond: number, clock: Clock = systemClock) {
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#clock = clock
  }

  /** Resolves when `sizeBytes` may be sent. Throws what an aborted signal means. */
  async turn(sizeBytes: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfInterrupted(signal)
    const now = this.#clock.nowMs()
    const startMs = Math.max(now, this.#freeAtMs)
    this.#freeAtMs = startMs + sizeBytes / this.#bytesPerMs
    if (startMs > now) await this.#clock.wait(startMs - now, signal)
  }
}
