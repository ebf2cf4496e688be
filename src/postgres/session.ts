/**
 * A session with the server, whichever way it is carried: psql, which works everywhere, or coffre's own connection, which
 * is cheaper where it is possible. One statement at a time.
 */

export interface Session {
  /** Statements whose output does not matter. */
  execute(sql: string): Promise<void>
  /** The rows of one SELECT, each parsed from JSON. The caller gives them their type by parsing further. */
  query(select: string): Promise<readonly unknown[]>
  /**
   * The output of one COPY … TO STDOUT. A chunk may be overwritten when the next one is asked for. Ends only when the server
   * said that it was all.
   */
  copyTo(statement: string): AsyncGenerator<Buffer>
  /**
   * Whole COPY text lines, without an end marker, under one COPY … FROM STDIN. A chunk's memory is its owner's again when the
   * next is asked for. A failure leaves the session unusable.
   */
  copyFrom(statement: string, data: AsyncIterable<Buffer>): Promise<void>
  /** Ends it and makes sure that it ended well. */
  close(): Promise<void>
  kill(): void
}

/**
 * Settings every session has, so that dump, load and digest write a value alike (hazards, 14 and 15), and no
 * time-out of the database or the role can end it (hazard 2). Settings a server does not have are left out.
 * A server that looks after its client (PostgreSQL can on Linux) notices within seconds when coffre was killed, even
 * where it waits for a lock.
 */
export const sessionSettings = `
SET client_min_messages = error; SET standard_conforming_strings = on; SET search_path = '';
SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = 'UTC'; SET extra_float_digits = 3;
SET bytea_output = hex; SET xmloption = content; SET lc_monetary = 'C'; SET row_security = off;
SET synchronize_seqscans = off; SET enable_tidscan = on; SET jit = off; SET max_parallel_workers_per_gather = 0;
SET default_transaction_read_only = off; SET statement_timeout = 0; SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SELECT pg_catalog.set_config(name, '0', false) IS NULL FROM pg_catalog.pg_settings
  WHERE name IN ('idle_session_timeout', 'transaction_timeout');
SELECT pg_catalog.set_config(name, '2s', false) IS NULL FROM pg_catalog.pg_settings
  WHERE name = 'client_connection_check_interval' AND pg_catalog.version() LIKE '%linux%';
`

/** A SELECT's rows as lines of COPY text: psql takes characters like U+FFFE out of what it prints otherwise. */
export async function queryByCopy(
  session: Pick<Session, 'copyTo'>,
  select: string,
): Promise<readonly unknown[]> {
  const parts: Buffer[] = []
  const rows = `SELECT pg_catalog.row_to_json(q) FROM (${select}\n) AS q`
  for await (const bytes of session.copyTo(`COPY (${rows}) TO STDOUT`)) parts.push(Buffer.from(bytes))
  const lines = Buffer.concat(parts).toString('utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(withoutEscapes(line)) as unknown)
}

/** Those of COPY (PostgreSQL documentation, COPY, Text Format) that JSON can be written with: JSON's own come back. */
function withoutEscapes(line: string): string {
  return line.replace(/\\([\\nrt])/g, (_, letter: string) => escaped.get(letter) ?? letter)
}

const escaped: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])
