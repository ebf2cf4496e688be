/**
 * What an S3 server, the SDK or the network says, as a CoffreError with the next thing to try.
 * Only the error's name, status and message are kept: requests, headers and signatures stay behind, so no secret
 * can reach a message or a log through the cause.
 */
import { CoffreError, type ErrorCode } from '../errors.ts'

/** What is kept of a failed request; the `cause` of every CoffreError made here. */
export class S3Failure extends Error {
  /** The server's error code (`NoSuchBucket`), or the network's (`ECONNRESET`). */
  readonly code: string
  /** HTTP status; undefined when no answer came. */
  readonly status: number | undefined
  /** How long the server asks to be left alone; undefined when it does not say. */
  readonly retryAfterMs: number | undefined
  /** The clocks differed, and the SDK has learned the server's time from this very answer. */
  readonly clockCorrected: boolean

  constructor(thrown: unknown) {
    super(plain(thrown instanceof Error ? thrown.message : String(thrown)))
    this.name = 'S3Failure'
    this.status = statusOf(thrown)
    this.code = codeOf(thrown, this.status)
    this.retryAfterMs = retryAfterMs(thrown)
    this.clockCorrected = property(property(thrown, '$metadata'), 'clockSkewCorrected') === true
  }
}

interface Meaning {
  readonly code: ErrorCode
  readonly reason: string
  readonly hint?: string
}

const denied: Meaning = { code: 'ERR_STORE_DENIED', reason: 'access denied' }
const unknownKey: Meaning = {
  code: 'ERR_STORE_DENIED',
  reason: 'the access key is not known',
  hint: 'check the access key, and that it belongs to this provider and region',
}
const wrongSecret: Meaning = {
  code: 'ERR_STORE_DENIED',
  reason: 'the signature does not match',
  hint: 'the secret key does not belong to the access key: check both',
}
const full: Meaning = { code: 'ERR_STORE_FULL', reason: 'the store is full, or its quota is reached' }
const skewed: Meaning = {
  code: 'ERR_STORE',
  reason: 'the clocks of this machine and of the store differ too much',
  hint: 'set the clock of this machine: timedatectl status shows whether it is synchronised',
}
const untrusted: Meaning = {
  code: 'ERR_STORE',
  reason: 'its TLS certificate is not trusted',
  hint: 'check the endpoint; NODE_EXTRA_CA_CERTS=FILE adds a certificate authority of your own',
}
const wrongRegion: Meaning = {
  code: 'ERR_STORE',
  reason: 'the bucket is elsewhere',
  hint: 'check region and endpoint in the repository section of the configuration',
}

const meanings: Readonly<Record<string, Meaning>> = {
  AccessDenied: denied,
  AllAccessDisabled: denied,
  InvalidAccessKeyId: unknownKey,
  InvalidToken: { ...denied, reason: 'the session token is not valid' },
  ExpiredToken: { ...denied, reason: 'the session token has expired' },
  SignatureDoesNotMatch: wrongSecret,
  CredentialsProviderError: {
    code: 'ERR_STORE_DENIED',
    reason: 'no credentials were found',
    hint: 'give them in the configuration, or by the AWS environment variables or profile',
  },
  RequestTimeTooSkewed: skewed,
  RequestExpired: skewed,
  QuotaExceeded: full,
  InsufficientStorage: full,
  XMinioStorageFull: full,
  NoSuchBucket: {
    code: 'ERR_STORE',
    reason: 'no such bucket',
    hint: 'check bucket, region and endpoint; coffre never makes a bucket',
  },
  NoSuchKey: { code: 'ERR_STORE', reason: 'no such object' },
  PreconditionFailed: { code: 'ERR_EXISTS', reason: 'it already exists' },
  PermanentRedirect: wrongRegion,
  AuthorizationHeaderMalformed: wrongRegion,
  BadDigest: { code: 'ERR_STORE', reason: 'the bytes were damaged on the way' },
  SlowDown: {
    code: 'ERR_STORE',
    reason: 'the store asks for fewer requests, and still did after a while',
    hint: 'run the command again later, or with fewer jobs at once (jobs: under the source)',
  },
  ENOTFOUND: { code: 'ERR_STORE', reason: 'the host name is not known', hint: 'check the endpoint' },
  EAI_AGAIN: {
    code: 'ERR_STORE',
    reason: 'the host name cannot be looked up',
    hint: 'check the name server',
  },
  ECONNREFUSED: { code: 'ERR_STORE', reason: 'the connection was refused' },
  ECONNRESET: { code: 'ERR_STORE', reason: 'the connection was cut' },
  EPIPE: { code: 'ERR_STORE', reason: 'the connection was cut' },
  TimeoutError: { code: 'ERR_STORE', reason: 'no answer in time' },
  // An abort by the caller never comes here: this is the limit on a whole request with its retries.
  AbortError: { code: 'ERR_STORE', reason: 'no answer in time' },
}

/**
 * `action` reads after "cannot": "put backups/x in s3://bucket/prefix". `right`: what the credential must be allowed to
 * do for it, told where access was denied.
 */
export function storeError(action: string, thrown: unknown, right?: string): CoffreError {
  if (thrown instanceof CoffreError) return thrown
  const failure = thrown instanceof S3Failure ? thrown : new S3Failure(thrown)
  const meaning = meaningOf(failure)
  const detail = meaning.reason.includes(failure.code) ? '' : ` (${failure.code})`
  const hint = meaning === denied && right !== undefined ? neededRight(right) : meaning.hint
  return new CoffreError(meaning.code, `cannot ${action}: ${meaning.reason}${detail}`, {
    cause: failure,
    ...(hint === undefined ? {} : { hint }),
  })
}

function neededRight(right: string): string {
  return `check the credentials: for this they need what S3 calls ${right}`
}

/** The failed request behind an error of this folder; undefined for any other error. */
export function failureOf(error: unknown): S3Failure | undefined {
  return error instanceof CoffreError && error.cause instanceof S3Failure ? error.cause : undefined
}

function meaningOf(failure: S3Failure): Meaning {
  // Backblaze answers AccessDenied when a cap is reached; Ceph's quota is a 403 with a name of its own.
  if (failure.status === 507 || /cap exceeded|quota/i.test(failure.message)) return full
  const known = meanings[failure.code]
  if (known !== undefined) return known
  if (/CERT|ERR_TLS/.test(failure.code)) return untrusted
  if (failure.status === 401 || failure.status === 403) return denied
  if (failure.status === 301) return wrongRegion
  if (failure.status === 404) return { code: 'ERR_STORE', reason: 'no such object' }
  if (failure.status === 412) return { code: 'ERR_EXISTS', reason: 'it already exists' }
  return { code: 'ERR_STORE', reason: failure.message === '' ? failure.code : failure.message }
}

function statusOf(thrown: unknown): number | undefined {
  const metadata = property(thrown, '$metadata')
  const status = property(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** "Retry-After" (RFC 9110, section 10.2.3): seconds, or a date. */
function retryAfterMs(thrown: unknown): number | undefined {
  const told = property(property(property(thrown, '$response'), 'headers'), 'retry-after')
  if (typeof told !== 'string') return undefined
  const ms = /^\d+$/.test(told) ? Number(told) * 1000 : Date.parse(told) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** The server's code where it answered; else the network's, which says more than the SDK's name for it. */
function codeOf(thrown: unknown, status: number | undefined): string {
  const name = property(thrown, 'name')
  const code = property(thrown, 'code')
  const chosen = status === undefined && typeof code === 'string' && code !== 'ETIMEDOUT' ? code : name
  return typeof chosen === 'string' ? plain(chosen) : 'unknown error'
}

function property(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined
}

/** The server's words, without what could disturb a terminal or a log. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 300)
}
