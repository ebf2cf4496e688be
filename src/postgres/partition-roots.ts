/**
 * Which table the partitions belong to, in a restored database. A server that hashes or sorts a partition key otherwise
 * (another collation library, another architecture, a function of an operator class) takes rows by way of the root only,
 * and puts them where it wants them (pg_dump documentation, --load-via-partition-root; hazard 18).
 */
import { z } from 'zod'
import type { InventoryTableName } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'

export interface Partition extends InventoryTableName {
  readonly root: InventoryTableName
}

const row = z.object({ schema: z.string(), name: z.string(), rootSchema: z.string(), rootName: z.string() })

/** All with rows of their own, but for those beside a foreign table: no row may leave the server by way of the root. */
export async function readPartitions(session: PsqlSession): Promise<readonly Partition[]> {
  const rows = await session.query(`
    SELECT n.nspname AS schema, c.relname AS name, rn.nspname AS "rootSchema", r.relname AS "rootName"
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE c.relispartition AND c.relkind = 'r'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(r.oid) l JOIN pg_catalog.pg_class f ON f.oid = l.relid WHERE f.relkind = 'f')
    ORDER BY 1, 2`)
  return rows.map((one) => {
    const { schema, name, rootSchema, rootName } = row.parse(one)
    return { schema, name, root: { schema: rootSchema, name: rootName } }
  })
}

/** check_violation (PostgreSQL, Appendix A), in the words it has for a row that belongs to another partition. */
export function isOfAnotherPartition(message: string): boolean {
  return /\b23514: .*violates partition constraint/.test(message)
}
