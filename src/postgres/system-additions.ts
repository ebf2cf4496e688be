/**
 * What somebody has made inside the system's own schemas, or added to the system's own operator families. pg_dump takes
 * it for the system's and leaves it out without a word (its selectDumpableNamespace and getOpfamilies), so a backup says so.
 * What an extension put there comes back with the extension.
 */
import { z } from 'zod'
import type { PsqlSession } from './psql-session.ts'

/** Catalog, its column of the schema, and which rows count; what comes along with another object never does. */
const kinds: readonly (readonly [catalog: string, schema: string, which: string])[] = [
  ['pg_class', 'relnamespace', "relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"],
  ['pg_proc', 'pronamespace', 'true'],
  ['pg_type', 'typnamespace', 'typrelid = 0 AND typelem = 0'],
  ['pg_operator', 'oprnamespace', 'oprcode <> 0'],
  ['pg_opclass', 'opcnamespace', 'true'],
  ['pg_opfamily', 'opfnamespace', 'true'],
  ['pg_collation', 'collnamespace', 'true'],
  ['pg_conversion', 'connamespace', 'true'],
  ['pg_statistic_ext', 'stxnamespace', 'true'],
  ['pg_ts_config', 'cfgnamespace', 'true'],
  ['pg_ts_dict', 'dictnamespace', 'true'],
]

const firstOfUsers = 16384 // FirstNormalObjectId: initdb's own objects are below

const dependsOn = (catalog: string, oid: string, what: string, types: string): string =>
  `EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass
     AND d.objid = ${oid} AND d.refclassid = 'pg_catalog.${what}'::pg_catalog.regclass AND d.deptype IN (${types}))`

const madeInSystemSchemas = kinds.map(
  ([catalog, schema, which]) => `
  SELECT pg_catalog.pg_describe_object('pg_catalog.${catalog}'::pg_catalog.regclass, o.oid, 0) AS thing
  FROM pg_catalog.${catalog} o JOIN pg_catalog.pg_namespace n ON n.oid = o.${schema}
  WHERE n.nspname IN ('pg_catalog', 'information_schema') AND o.oid >= ${firstOfUsers} AND ${which}
    AND NOT ${dependsOn(catalog, 'o.oid', 'pg_extension', "'e'")}`,
)

/** A member that no operator class brings along is dumped with its family, and that is the system's. */
const loose = (catalog: string, family: string, whatClass: string, what: string): string => `
  SELECT pg_catalog.pg_describe_object('pg_catalog.${catalog}'::pg_catalog.regclass, o.oid, 0)
  FROM pg_catalog.${catalog} o
  WHERE o.oid >= ${firstOfUsers} AND o.${family} < ${firstOfUsers} AND NOT ${dependsOn(catalog, 'o.oid', 'pg_opclass', "'i', 'a'")}
    AND NOT ${dependsOn(whatClass, `o.${what}`, 'pg_extension', "'e'")}`

const query = `SELECT count(*) AS count, pg_catalog.min(thing) AS first FROM (
  ${[
    ...madeInSystemSchemas,
    loose('pg_amop', 'amopfamily', 'pg_operator', 'amopopr'),
    loose('pg_amproc', 'amprocfamily', 'pg_proc', 'amproc'),
  ].join(' UNION ALL ')}) q (thing)`

/** In words; empty where there is nothing of the kind. */
export async function readSystemAdditions(session: PsqlSession): Promise<readonly string[]> {
  const [row] = await session.query(query)
  const { count, first } = z.object({ count: z.number(), first: z.string().nullable() }).parse(row)
  if (first === null) return []
  const more = count > 1 ? ` and ${count - 1} more` : ''
  return [
    `left out, as pg_dump takes what lies in the system's own schemas for the system's: ${first}${more}`,
  ]
}
