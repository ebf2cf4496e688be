/**
 * The databases that are backed up by the bench, each made by one function in a database of its own. Sizes are those of
 * a plain dump, about.
 */
import { join } from 'node:path'
import { home } from '../test/support/coffre.ts'
import { pgbench } from '../test/support/demo-database.ts'
import { sql, conninfoOf } from '../test/support/postgres.ts'

export interface DataSet {
  readonly name: string
  /** What it stands for, for the report. */
  readonly what: string
  fill(database: string, server: string): Promise<void>
}

/** Megabytes of plain dump that the demo's SQL makes at scale 1. */
const demoScaleMegabytes = 295

/** Co-owned buildings with their bookkeeping and meters: three quarters of the bytes are in one table. */
export function business(megabytes: number): DataSet {
  return {
    name: `business-${megabytes}`,
    what: `business rows as in the demo, ${megabytes} MB, three quarters of them in one table`,
    fill: async (database, server) => {
      const file = join(home, 'src/operations/demo/building-management.sql')
      const scale = (megabytes / demoScaleMegabytes).toFixed(3)
      await sql(database, '', ['-v', `scale=${scale}`, '-f', file], server)
    },
  }
}

export function pgbenchData(scale: number): DataSet {
  return {
    name: `pgbench-${scale}`,
    what: `pgbench at scale ${scale}: one wide filler column that compresses to almost nothing`,
    fill: async (database, server) => {
      await pgbench(conninfoOf(database, server), ['-i', '-q', '-s', String(scale)])
    },
  }
}

export function manyTables(count: number): DataSet {
  return {
    name: `tables-${count}`,
    what: `${count} tables of twenty rows`,
    fill: async (database, server) => {
      // In portions: one transaction would need a lock for each table.
      for (let from = 1; from <= count; from += 500) {
        const to = Math.min(count, from + 499)
        await sql(
          database,
          `SELECT format('CREATE TABLE t%s (id int PRIMARY KEY, name text); INSERT INTO t%s SELECT n, md5(n::text) FROM generate_series(1, 20) n',
             i, i) FROM generate_series(${from}, ${to}) i \\gexec`,
          [],
          server,
        )
      }
      await sql(database, 'VACUUM (ANALYZE)', [], server)
    },
  }
}

/** Photographs and documents: bytes that nothing compresses, in rows of about 100 kB. */
export function wideRows(megabytes: number): DataSet {
  return {
    name: `wide-${megabytes}`,
    what: `bytea of 100 kB a row that does not compress, ${megabytes} MB as COPY writes them`,
    fill: async (database, server) => {
      const rows = Math.max(1, Math.round((megabytes * 1e6) / 200_000))
      await sql(
        database,
        `CREATE TABLE files (id int PRIMARY KEY, name text, content bytea);
         ALTER TABLE files ALTER content SET STORAGE EXTERNAL;
         INSERT INTO files SELECT n, 'scan ' || n, (SELECT string_agg(sha512(convert_to(n || '/' || m, 'UTF8')), '') FROM generate_series(1, 1563) m)
           FROM generate_series(1, ${rows}) n;
         VACUUM (ANALYZE)`,
        [],
        server,
      )
    },
  }
}

/** One row with one value of this size as COPY writes it: whoever must hold it at once shows that in their memory. */
export function widestValue(megabytes: number): DataSet {
  return {
    name: `widest-${megabytes}`,
    what: `one bytea value of ${megabytes} MB as COPY writes it`,
    fill: async (database, server) => {
      const pieces = Math.round((megabytes * 1e6) / 128)
      await sql(
        database,
        `CREATE TABLE scans (content bytea);
         INSERT INTO scans SELECT string_agg(sha512(convert_to(n::text, 'UTF8')), '') FROM generate_series(1, ${pieces}) n`,
        [],
        server,
      )
    },
  }
}
