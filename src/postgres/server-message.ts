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

/** First match wins. Codes: PostgreSQL documentation, Appendix A. */
const rules: readonly Rule[] = [
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
    matches: /\b55P03\b|lock timeout/,
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
    hint: 'grant the backup role pg_read_all_data (and a superuser for large objects), or back up as the owner',
  },
  {
    matches: /server version mismatch|unsupported version \(/,
    code: 'ERR_PROGRAM',
    hint: 'the client programs are older than the server: install the matching ones, or run them through a prefix (run: …)',
  },
  {
    matches: /No space left on device|\b53100\b/,
    code: 'ERR_POSTGRES',
    hint: 'the disk of the server is full',
  },
]

/** `status`: an exit status or a signal's name. */
export function classifyFailure(program: string, status: number | string, stderr: string): CoffreError {
  const lines = redact(stderr)
  const told =
    lines.find((line) => /(?:ERROR|FATAL|PANIC):|error:/.test(line)) ?? lines.at(-1) ?? 'it said nothing'
  const message = `${program} ended with ${typeof status === 'number' ? 'status ' : ''}${status}: ${told.slice(0, 600)}`
  const rule = rules.find(({ matches }) => matches.test(lines.join('\n')))
  if (rule !== undefined) return new CoffreError(rule.code, message, { hint: rule.hint })
  const prefixFailed = program === 'psql' && (status === 125 || status === 126 || status === 127)
  return new CoffreError(prefixFailed || lines.length === 0 ? 'ERR_PROGRAM' : 'ERR_POSTGRES', message)
}

function redact(stderr: string): readonly string[] {
  return stderr
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) => line !== '' && !/^(?:\S+: )?(?:CONTEXT|DETAIL|LOCATION|LINE|STATEMENT|QUERY):? /.test(line),
    )
    .filter((line) => !/^(?:\S+: )?detail:/.test(line))
}
