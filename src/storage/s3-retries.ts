/**
 * Which failed requests are worth another attempt, how many, and how long after. The SDK's own retries are off: their
 * pauses end within a fraction of a second and hear no abort.
 * Every request of this folder may be repeated: what a lost answer leaves behind is looked for by whoever asked.
 */
import type { S3Failure } from './s3-errors.ts'

/** A server that asks for time is alive: it gets more attempts than one that does not answer. */
const patienceWithBusyServers = 2
const longestPauseMs = 30_000

/** SlowDown and its kin; 503 and 429 whatever they are called. */
const busyCodes =
  /^(SlowDown\w*|Throttl\w*|Request(LimitExceeded|Throttled\w*)|TooManyRequests\w*|ServiceUnavailable)$/
const busyStatus = new Set([429, 503])

/** Errors of S3 that pass, some of them behind a status 400 ("Error responses", AWS). */
const passingCodes = new Set(['InternalError', 'RequestTimeout', 'IncompleteBody', 'BadDigest'])
const passingStatus = new Set([408, 500, 502, 504])

/** No answer at all. An unknown host name passes too: resolvers are restarted. */
const networkCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
  'ENOTFOUND',
  'TimeoutError',
  'AbortError',
])

/** After the n-th attempt failed: how long to wait before the next one; undefined when there is to be none. */
export function pauseBeforeRetryMs(
  failure: S3Failure,
  attempt: number,
  maxAttempts: number,
): number | undefined {
  const busy = busyCodes.test(failure.code) || busyStatus.has(failure.status ?? 0)
  const passing =
    busy ||
    failure.clockCorrected ||
    passingCodes.has(failure.code) ||
    passingStatus.has(failure.status ?? 0) ||
    networkCodes.has(failure.code)
  if (!passing || attempt >= maxAttempts * (busy ? patienceWithBusyServers : 1)) return undefined
  return Math.min(longestPauseMs, Math.max(failure.retryAfterMs ?? 0, pauseMs(attempt)))
}

/** Before the n-th retry: around 0.4, 1.6 and 6 seconds, with some chance in it so that lanes do not march in step. */
export function pauseMs(retry: number): number {
  return Math.min(longestPauseMs, 100 * 4 ** retry) * (0.75 + Math.random() / 2)
}

/** For the SDK: one attempt, and its error as it is. */
export const noRetries = {
  acquireInitialRetryToken: async () => ({ getRetryCount: () => 0, getRetryDelay: () => 0 }),
  refreshRetryTokenForRetry: async (): Promise<never> => {
    throw new Error('coffre repeats requests by itself')
  },
  recordSuccess: () => undefined,
}
