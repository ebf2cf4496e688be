/**
 * What a client program wrote to stderr, as an error a person can act on. SQLSTATE decides where there is one
 * (sessions ask psql for verbose errors); CONTEXT and DETAIL are dropped, since COPY puts row data there.
 */
import { CoffreError, type ErrorCode } from '../errors.ts'

interface Rule {
  readonly matches: RegExp
  readonly code: ErrorCode
  readonly hint: string
}

const sessionEnded =
  'the server ended the session: its log says why (a restart, a crash, somebody who ended it)'

/** First match wins. Codes: PostgreSQL documentation, Appendix A. */
const rules: readonly Rule[] = [
  {
    matches: /invalid command \\restrict/,
    code: 'ERR_PROGRAM',
    hint: 'this psql lacks the fix of August 2025 against hostile servers: update it (14.19, 15.14, 16.10, 17.6 or newer)',
  },
  {
    matches: /conflict with recovery/,
    code: 'ERR_POSTGRES',
    hint: 'the standby needed what was being read: set hot_standby_feedback = on there, or raise max_standby_streaming_delay, or back up from the primary',
  },
  {
    matches: /query_wait_timeout|statement pooling|no more connections allowed/,
    code: 'ERR_CONNECT',
    hint: 'a pooler is in between and lends too few connections, or not for long enough: connect to the server itself (port 5432, not 6432)',
  },
  {
    matches: /permission denied for database|too many connections|remaining connection slots/,
    code: 'ERR_CONNECT',
    hint: 'the server is up, but lets this role in no further: look at its CONNECT right and connection limits',
  },
  {
    matches: /invalid snapshot identifier|could not import the requested snapshot/,
    code: 'ERR_SOURCE',
    hint: 'the session that held the snapshot has ended: the server log says why; run the backup again',
  },
  {
    matches: /restricted by .*restrict_nonsystem_relation_kind|access to non-system/,
    code: 'ERR_SOURCE',
    hint: 'something became a view or foreign table while it was being backed up: find out who did that, and run it again',
  },
  {
    matches: /\b28P01\b|password authentication failed|no password supplied|\bno pg_hba\.conf entry/,
    code: 'ERR_CONNECT',
    hint: 'the server refused the login: check the user and its password (PGPASSFILE, or the URL in the configuration)',
  },
  {
    matches: /\b3D000\b|database ".*" does not exist/,
    code: 'ERR_CONNECT',
    hint: 'psql -l lists the databases of the server',
  },
  {
    matches:
      /could not connect|connection to server .* failed|could not translate host name|connection .* was closed/,
    code: 'ERR_CONNECT',
    hint: 'check that the server is up and reachable from here, with the same address in psql',
  },
  {
    matches: /server closed the connection|connection to server was lost|\b57P0[123]\b/,
    code: 'ERR_POSTGRES',
    hint: sessionEnded,
  },
  {
    matches: /\b55P03\b|lock timeout|^pg_dump: .*statement timeout/m,
    code: 'ERR_POSTGRES',
    hint: 'another session holds or waits for an exclusive lock (ALTER, VACUUM FULL, …): run the backup again when it is done',
  },
  {
    matches: /max_locks_per_transaction|out of shared memory/,
    code: 'ERR_POSTGRES',
    hint: 'raise max_locks_per_transaction on the server: coffre locks every table for the time of the backup',
  },
  {
    matches: /row-level security|row level security/,
    code: 'ERR_POSTGRES',
    hint: 'row security would hide rows: back up as a role with BYPASSRLS, or as a superuser',
  },
  {
    matches: /\b42501\b|permission denied/,
    code: 'ERR_POSTGRES',
    hint: 'this role lacks a right. To back up: pg_read_all_data, a superuser for large objects. To restore: a superuser, or a member of every owning role',
  },
  {
    matches: /server version mismatch|unsupported version \(/,
    code: 'ERR_PROGRAM',
    hint: 'the client programs are older than the server: install the matching ones, or run them through a prefix (run: …)',
  },
  {
    // MaxAllocSize (PostgreSQL, utils/memutils.h); bytea has two digits for a byte.
    matches: /invalid memory alloc request size|\b54000: out of memory/,
    code: 'ERR_POSTGRES',
    hint: 'no dump can hold a row whose text is over 1 GB (a bytea over 512 MB): find it by SELECT ctid … WHERE octet_length(COLUMN) > 500000000, and keep such values as large objects, or in pieces',
  },
  {
    // Servers of late 2026 mark columns with it; a pg_dump without that update takes the mark for a setting.
    matches: /unrecognized parameter "pg_attver"/,
    code: 'ERR_DESTINATION',
    hint: 'the pg_dump that made the backup lacked an update that its server had: restore on a server of the same major version with that update, and back up with updated client programs of the server’s own version',
  },
  {
    matches: /No space left on device|\b53100\b/,
    code: 'ERR_POSTGRES',
    hint: 'the disk of the server is full',
  },
]

/** `status`: an exit status or a signal's name. */
export function classifyFailure(program: string, status: number | string, stderr: string): CoffreError {
  const lines = publicLines(stderr)
  const told = lines.find((line) => isError.test(line)) ?? lines.at(-1) ?? 'it said nothing'
  const said = withoutValue(told).slice(0, 600)
  const message = `${program} ended with ${typeof status === 'number' ? 'status ' : ''}${status}: ${said}`
  const rule = rules.find(({ matches }) => matches.test(lines.join('\n')))
  if (rule !== undefined) return new CoffreError(rule.code, message, { hint: rule.hint })
  // Neither the program nor a server spoke: what was to start it did, or nothing at all.
  const started = lines.some((line) => isMessage.test(line))
  return new CoffreError(started ? 'ERR_POSTGRES' : 'ERR_PROGRAM', message)
}

/** `line`: `ERROR:  23505: …`, as psql writes it when it is verbose. */
export function classifyRefusal(line: string): CoffreError {
  const message = `the server refused: ${withoutValue(line).slice(0, 600)}`
  const rule = rules.find(({ matches }) => matches.test(line))
  return rule === undefined
    ? new CoffreError('ERR_POSTGRES', message)
    : new CoffreError(rule.code, message, { hint: rule.hint })
}

/** A connection that ended without a word. */
export function classifyLoss(cause: unknown): CoffreError {
  return new CoffreError('ERR_POSTGRES', 'the connection to server was lost', { hint: sessionEnded, cause })
}

const isMessage =
  /^(?:psql|pg_dump|pg_dumpall|pg_restore|pgbench): |^(?:ERROR|FATAL|PANIC|WARNING|NOTICE|LOG): /
const isError = /(?:ERROR|FATAL|PANIC):|error:/
const isPrivate = /^(?:\S+: )?(?:CONTEXT|DETAIL|detail|LOCATION|LINE \d+|STATEMENT|QUERY|Command was):/

/** Puts an end to a message whose rest was lost: what comes until the next message is private too. */
export const lostPart = '\nDETAIL: …\n'

/**
 * The lines up to the end of the first error, without the fields that hold statements and row data. A value may have
 * several lines and look like anything, so that after an error no line can be believed once such a field began.
 */
function publicLines(stderr: string): readonly string[] {
  const lines: string[] = []
  let hidden = false
  for (const line of stderr.split('\n').map((text) => text.trim())) {
    if (isPrivate.test(line)) {
      if (lines.some((one) => isError.test(one))) break
      hidden = true
    }
    if (isMessage.test(line)) hidden = false
    if (!hidden && line !== '') lines.push(line)
  }
  return lines
}

/** Data exceptions (class 22) quote the value that was wrong; those of encodings and COPY's lines only names. */
function withoutValue(line: string): string {
  return /\b22(?!P04|021|P05)[0-9A-Z]{3}:/.test(line) ? line.replace(/".*"|".*$/, '"…"') : line
}

/** The warnings of a program that went on and ended well: pg_dump leaves things out that way. */
export function warningsIn(stderr: string): readonly string[] {
  return publicLines(stderr)
    .filter((line) => /\bwarning: /i.test(line))
    .map((line) => withoutValue(line).slice(0, 300))
}
