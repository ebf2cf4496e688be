/**
 * Asks at intervals whether something is still there, so that its loss is noticed within seconds and not at the end of a
 * long work. That something is lost is an aborted signal, whose reason is what asking threw.
 */
export class Heartbeat implements Disposable {
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout
  #asking = false

  constructor(ask: () => Promise<void>, everyMs: number) {
    this.#timer = setInterval(() => void this.#beat(ask), everyMs)
    this.#timer.unref()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async #beat(ask: () => Promise<void>): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      await ask()
    } catch (error) {
      clearInterval(this.#timer)
      this.#lost.abort(error)
    }
    this.#asking = false
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
