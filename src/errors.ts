/**
 * Every way to fail, in one table: code → exit status → what to do next.
 * Help texts, `--json` errors and the documentation are drawn from it. Messages are lower case, without a
 * full stop, and name the thing they speak of; a hint names the next command to type.
 */

interface ErrorKind {
  /** The exit status of a command that ends with this error. */
  readonly exitStatus: number
  /** What to do when the place that threw knows nothing better. */
  readonly hint: string
}

const table = {
  ERR_INTERNAL: { exitStatus: 1, hint: 'this is a fault in coffre: please report it with the lines above' },
  ERR_USAGE: { exitStatus: 2, hint: 'coffre --help shows the commands' },
  ERR_CONFIG: { exitStatus: 2, hint: 'coffre config check lists every problem of the configuration' },
  ERR_PIN: {
    exitStatus: 2,
    hint: 'the pins in the configuration and the keyring in the repository must agree',
  },
  ERR_KEY: { exitStatus: 2, hint: 'gpg --show-keys FILE shows what a key file holds' },
  ERR_NO_BACKUP: { exitStatus: 5, hint: 'coffre list shows the backups there are' },
  ERR_LEASE_HELD: { exitStatus: 6, hint: 'wait until the other run has ended, or its lease has expired' },
  ERR_NO_IDENTITY: {
    exitStatus: 7,
    hint: 'give the secret key of one of these recipients with --identity FILE, or --identity gpg',
  },
  ERR_SHARE: { exitStatus: 7, hint: 'compare the shares with the paper they stand on' },
  ERR_SIGNATURE: {
    exitStatus: 8,
    hint: 'do not use this backup; coffre verify --all shows which others are whole',
  },
  ERR_DIGEST: {
    exitStatus: 8,
    hint: 'do not use this backup; coffre verify --all shows which others are whole',
  },
  ERR_FORMAT: { exitStatus: 8, hint: 'a newer coffre may be needed to read this, or it has been altered' },
  ERR_PROGRAM: { exitStatus: 1, hint: 'check that the program is installed and the command prefix is right' },
  ERR_POSTGRES: { exitStatus: 1, hint: 'the server said this; its log may say more' },
  ERR_CONNECT: { exitStatus: 1, hint: 'check the address, the user and the password (PGPASSFILE) with psql' },
  ERR_SOURCE: {
    exitStatus: 1,
    hint: 'see to what the message names on the source, then run the backup again',
  },
  ERR_DESTINATION: { exitStatus: 1, hint: 'choose the name of a database that does not exist yet' },
  ERR_MISMATCH: {
    exitStatus: 1,
    hint: 'what was restored differs from the snapshot: keep both, and report it',
  },
  ERR_STORE: {
    exitStatus: 1,
    hint: 'check the repository section of the configuration, and that the store is up',
  },
  ERR_STORE_FULL: { exitStatus: 1, hint: 'make room in the repository, then run the command again' },
  ERR_STORE_DENIED: { exitStatus: 1, hint: 'check the credentials and what they are allowed to do' },
  ERR_NOT_STORED: { exitStatus: 1, hint: 'the store did not keep what it was given: nothing was committed' },
  ERR_EXISTS: { exitStatus: 1, hint: 'nothing is ever overwritten; look at what is there first' },
  ERR_INTERRUPTED: { exitStatus: 130, hint: 'nothing was committed; run the command again' },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof table

/** The only error coffre throws on purpose. `hint` falls back to the table's. */
export class CoffreError extends Error {
  readonly code: ErrorCode
  readonly hint: string

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CoffreError'
    this.code = code
    this.hint = options.hint ?? table[code].hint
  }

  get exitStatus(): number {
    return table[this.code].exitStatus
  }
}

/** Any thrown thing as a CoffreError; what was not thrown on purpose becomes ERR_INTERNAL. */
export function asCoffreError(thrown: unknown): CoffreError {
  if (thrown instanceof CoffreError) return thrown
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new CoffreError('ERR_INTERRUPTED', 'interrupted', { cause: thrown })
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new CoffreError('ERR_INTERNAL', message, { cause: thrown })
}
