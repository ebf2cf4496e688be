/**
 * Pulls from a stream that somebody else fills, without ever hanging on it: an abort ends the wait at once, even
 * while the source is silent. Every store reads its `put` bodies through it.
 * It leaves errors of the source as they are: they belong to whoever made the stream.
 */
import { CoffreError } from '../errors.ts'

/** What an aborted signal means: the CoffreError it was aborted with, else ERR_INTERRUPTED. */
export function interruption(signal: AbortSignal): CoffreError {
  if (signal.reason instanceof CoffreError) return signal.reason
  return new CoffreError('ERR_INTERRUPTED', 'interrupted', { cause: signal.reason })
}

/** Throws what `interruption` says, if the signal is aborted. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interruption(signal)
}

/** How long one pull may take, and what to throw when it took longer. */
export interface IdleLimit {
  readonly timeoutMs: number
  readonly error: () => CoffreError
}

/**
 * The source's chunks, one pull per chunk asked for. Throws `interruption` as soon as the signal aborts, and the
 * limit's error when one pull takes longer than it allows. However it ends, the source is told to finish; it is
 * waited for only when it is not itself stuck in a pull.
 */
export async function* interruptible(
  source: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
  idle?: IdleLimit,
): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]()
  let pulling = false
  let ended = false
  try {
    for (;;) {
      throwIfInterrupted(signal)
      pulling = true
      const pull = await limited(iterator.next(), signal, idle)
      pulling = false
      if (pull.done === true) {
        ended = true
        return
      }
      yield pull.value
    }
  } finally {
    if (!ended) {
      // The error on its way out is the one that matters: what the source says about being stopped is not.
      const stopped = stop(iterator)
      if (!pulling) await stopped
    }
  }
}

async function stop(iterator: AsyncIterator<Buffer>): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    // Already failing: see above.
  }
}

/** One promise, raced with a signal and a clock; nothing stays attached to either afterwards. */
function limited<T>(
  pull: Promise<T>,
  signal: AbortSignal | undefined,
  idle: IdleLimit | undefined,
): Promise<T> {
  if (signal === undefined && idle === undefined) return pull
  return new Promise<T>((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      finish()
    }
    const onAbort = (): void => {
      if (signal !== undefined) settle(() => reject(interruption(signal)))
    }
    const timer =
      idle === undefined ? undefined : setTimeout(() => settle(() => reject(idle.error())), idle.timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    pull.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}
