/**
 * The COPY statements that carry rows, composed from names only here: out of the source, into a destination, and
 * out again to be digested. Columns are always named, in one order, so that a restored inheritance child whose
 * columns stand in another order still digests alike.
 */
import type { PageRange } from './plan.ts'
import { quoteIdentifier, quoteLiteral, quoteQualified } from './quoting.ts'

export interface TableRows {
  readonly schema: string
  readonly name: string
  readonly columns: readonly string[]
  /** An extension's own condition for its configuration table; empty for all rows. */
  readonly condition: string
  /** Its rows are in its partitions, and it is read as one with them. */
  readonly partitioned: boolean
  /** The database's own: its rows travel in it, unconverted, while statements and names are UTF-8. */
  readonly encoding: string
}

export function copyOutStatement(table: TableRows, pages: PageRange | undefined): string {
  const name = quoteQualified(table.schema, table.name)
  // "t()" is a syntax error, and a SELECT without columns is not: tables without columns keep their row count.
  // PostgreSQL before 18 copies no partitioned table as such, only what a SELECT finds in it.
  if (pages === undefined && table.condition === '' && !table.partitioned) {
    return `COPY ${name}${columnList(table.columns)} TO STDOUT${encodingOption(table)}`
  }
  const ranges = pages === undefined ? '' : ` WHERE ${ctidRange(pages)}`
  const columns = table.columns.map((column) => quoteIdentifier(column)).join(', ')
  return `COPY (SELECT ${columns} FROM ${table.partitioned ? '' : 'ONLY '}${name}${ranges} ${table.condition}) TO STDOUT${encodingOption(table)}`
}

function ctidRange({ from, to }: PageRange): string {
  const start = `ctid >= '(${from},0)'::pg_catalog.tid`
  return to === undefined ? start : `${start} AND ctid < '(${to},0)'::pg_catalog.tid`
}

/** Also the header line of a block in a `rows` artifact, followed by the data and a line `\.`. */
export function copyInStatement(table: TableRows): string {
  return `COPY ${quoteQualified(table.schema, table.name)}${columnList(table.columns)} FROM STDIN${encodingOption(table)}`
}

/** Without it COPY takes the client's encoding, which is UTF-8 in every session and in the preamble. */
function encodingOption({ encoding }: TableRows): string {
  return encoding === 'UTF8' ? '' : ` WITH (ENCODING ${quoteLiteral(encoding)})`
}

function columnList(columns: readonly string[]): string {
  return columns.length === 0 ? '' : ` (${columns.map((column) => quoteIdentifier(column)).join(', ')})`
}

export function setSequenceStatement(sequence: {
  schema: string
  name: string
  lastValue: string
  isCalled: boolean
}): string {
  const name = quoteLiteral(quoteQualified(sequence.schema, sequence.name))
  return `SELECT pg_catalog.setval(${name}, ${sequence.lastValue}, ${sequence.isCalled ? 'true' : 'false'})`
}

/** What a stock psql must set before it can load a `rows` artifact. */
export const rowsPreamble = [
  "SET client_encoding = 'UTF8';",
  'SET standard_conforming_strings = on;',
  "SET search_path = '';",
  'SET DateStyle = ISO;',
  'SET IntervalStyle = postgres;',
  "SET TimeZone = 'UTC';",
  "SET lc_monetary = 'C';",
  'SET xmloption = content;',
  'SET row_security = off;',
  'SET statement_timeout = 0;',
  '',
  '',
].join('\n')

/**
 * Every large object as lines of (oid, position, up to 1 MiB of bytes), so that their content is digested like
 * a table's rows. The descriptor is closed in the same row: many open ones would pile up in the server's memory.
 */
export const copyLargeObjects = `COPY (
  SELECT o.oid, p.n, pg_catalog.lo_get(o.oid, p.n * 1048576, 1048576)
  FROM (SELECT s.oid, s.size FROM (
      SELECT m.oid, m.fd, pg_catalog.lo_lseek64(m.fd, 0, 2) AS size, pg_catalog.lo_close(m.fd) AS closed
      FROM (SELECT oid, pg_catalog.lo_open(oid, 262144) AS fd FROM pg_catalog.pg_largeobject_metadata OFFSET 0) m OFFSET 0) s) o,
    LATERAL pg_catalog.generate_series(0, o.size / 1048576) AS p(n)) TO STDOUT`
