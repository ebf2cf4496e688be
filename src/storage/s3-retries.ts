/** When a request is tried again, and how long after. How often is up to whoever asks. */
import type { S3ClientConfig } from '@aws-sdk/client-s3'

type RetryStrategy = Exclude<NonNullable<S3ClientConfig['retryStrategy']>, { retry: unknown }>

export const longestPauseMs = 30_000

/** The SDK's own delays end within a fraction of a second: a server that restarts is away for longer. */
export function patientRetries(maxAttempts: number): RetryStrategy {
  const token = (retries: number, delayMs: number) => ({
    getRetryCount: () => retries,
    getRetryDelay: () => delayMs,
  })
  return {
    acquireInitialRetryToken: async () => token(0, 0),
    refreshRetryTokenForRetry: async (last, failed) => {
      const retries = last.getRetryCount() + 1
      const worthTrying = failed.errorType === 'TRANSIENT' || failed.errorType === 'THROTTLING'
      if (!worthTrying || retries >= maxAttempts) throw new Error('no attempts left')
      const asked = failed.retryAfterHint === undefined ? 0 : failed.retryAfterHint.getTime() - Date.now()
      return token(retries, Math.min(longestPauseMs, Math.max(asked, pauseMs(retries))))
    },
    recordSuccess: () => undefined,
  }
}

/** Before the n-th retry: around 0.4, 1.6 and 6 seconds, with some chance in it so that lanes do not march in step. */
export function pauseMs(retry: number): number {
  return Math.min(longestPauseMs, 100 * 4 ** retry) * (0.75 + Math.random() / 2)
}
