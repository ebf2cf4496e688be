/**
 * Columns whose values another server may write otherwise though they are the same: a RowDigest is of the text, so there it
 * tells nothing. "char" beyond ASCII changed in PostgreSQL 16 (its release notes); what the type of an extension writes is
 * the business of that extension's version.
 */
import { z } from 'zod'
import type { Inventory } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'

const columnRow = z.object({
  schema: z.string(),
  table: z.string(),
  column: z.string(),
  /** Null: PostgreSQL's own "char". */
  extension: z.string().nullable(),
  version: z.string().nullable(),
})

export interface DoubtfulColumn {
  readonly schema: string
  readonly table: string
  readonly column: string
  /** What may write it otherwise, in words. */
  readonly because: string
}

/** In a restored database: the columns that cannot be judged by their text. Arrays, domains, ranges and rows of such types too. */
export async function readDoubtfulColumns(
  session: PsqlSession,
  inventory: Inventory,
  versionNumber: number,
): Promise<readonly DoubtfulColumn[]> {
  const rows = await session.query(`
    WITH RECURSIVE doubtful(type, extension, version) AS (
      SELECT t.oid, e.extname, e.extversion FROM pg_catalog.pg_type t
        LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
        LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE e.oid IS NOT NULL OR t.oid = 'pg_catalog."char"'::pg_catalog.regtype
      UNION SELECT t.oid, b.extension, b.version FROM doubtful b JOIN pg_catalog.pg_type t ON t.typbasetype = b.type
        OR t.typelem = b.type AND t.typcategory = 'A'
        OR EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngsubtype = b.type AND t.oid IN (r.rngtypid, r.rngmultitypid))
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.atttypid = b.type AND NOT a.attisdropped))
    SELECT n.nspname AS schema, c.relname AS table, a.attname AS column, b.extension, b.version
    FROM doubtful b JOIN pg_catalog.pg_attribute a ON a.atttypid = b.type AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2, 3`)
  const before = new Map(inventory.extensions.map(({ name, version }) => [name, version]))
  return rows.flatMap((row) => {
    const { schema, table, column, extension, version } = columnRow.parse(row)
    const because =
      extension === null
        ? crosses(16, inventory.server.versionNumber, versionNumber)
          ? 'PostgreSQL 16 writes "char" otherwise'
          : undefined
        : before.get(extension) === version
          ? undefined
          : `${extension} is ${version ?? 'unknown'} here and was ${before.get(extension) ?? 'unknown'}`
    return because === undefined ? [] : [{ schema, table, column, because }]
  })
}

function crosses(major: number, from: number, to: number): boolean {
  return from < major * 10000 !== to < major * 10000
}
