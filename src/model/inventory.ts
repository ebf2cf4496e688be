/**
 * The Inventory: what was in the database at the snapshot, with every table's row count and RowDigest. It is
 * sealed like any artifact (names are content), and it is what a restore composes its statements from.
 * Parsed once here; nothing below this file sees an unchecked name.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { decodeJson } from './canonical-json.ts'
import { completeFirstForm } from './inventory-first-form.ts'
import { rowDigestPattern } from './row-digest.ts'

/** What PostgreSQL accepts as a name: not empty, no zero byte; quoted wherever it is used. */
const name = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\0]*$/)
const count = z.number().int().nonnegative()
const text = z.string().regex(/^[^\0]*$/)
/** SQL text of an extension's, which goes to psql unquoted: a backslash would begin a command of psql's own. */
const condition = z.string().regex(/^[^\0\\;]*$/)
const digested = { rows: count, digest: z.string().regex(rowDigestPattern) }

const role = z.strictObject({
  name,
  superuser: z.boolean(),
  inherit: z.boolean(),
  createRole: z.boolean(),
  createDatabase: z.boolean(),
  login: z.boolean(),
  replication: z.boolean(),
  bypassRowSecurity: z.boolean(),
  connectionLimit: z.number().int(),
  validUntil: text.nullable(),
  /** As pg_authid holds it (a SCRAM verifier); null where there is none or the dumping role may not read it. */
  passwordVerifier: text.nullable(),
  comment: text.nullable(),
  /** Whether something in the database, or the database itself, is its own: whoever restores must be able to give it away. */
  owns: z.boolean(),
  /** `inherit`, `set`: null before PostgreSQL 16, which made them properties of the membership. */
  memberOf: z.array(
    z.strictObject({
      role: name,
      admin: z.boolean(),
      inherit: z.boolean().nullable(),
      set: z.boolean().nullable(),
    }),
  ),
  /** ALTER ROLE … SET, whatever the database. */
  settings: z.array(z.strictObject({ name, value: text })),
})

const database = z.strictObject({
  name,
  owner: name,
  encoding: text,
  localeProvider: z.enum(['libc', 'icu', 'builtin']),
  collate: text,
  characterType: text,
  locale: text.nullable(),
  icuRules: text.nullable(),
  /** What the server recorded of its locale's version; null where there is none, and before PostgreSQL 15. */
  collationVersion: text.nullable(),
  /** Its own, where whatever names none lies. */
  tablespace: name,
  /** The others that something in it lies in. */
  tablespaces: z.array(name),
  connectionLimit: z.number().int(),
  comment: text.nullable(),
  securityLabels: z.array(z.strictObject({ provider: name, label: text })),
  /** null: the built-in default rights. */
  grants: z
    .array(
      z.strictObject({
        grantee: name.nullable(),
        privilege: z.enum(['CREATE', 'CONNECT', 'TEMPORARY']),
        grantable: z.boolean(),
      }),
    )
    .nullable(),
  /** ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET. */
  settings: z.array(z.strictObject({ role: name.nullable(), name, value: text })),
})

const table = z.strictObject({
  schema: name,
  name,
  /** The columns COPY carries, in their order at the source: generated ones are left out. */
  columns: z.array(name),
  /** Its rows are those of its partitions, which are no tables of their own here: they are read, counted and loaded through it. */
  partitioned: z.boolean(),
  /** The extension this is a configuration table of, and the rows of it that belong to the user. */
  extension: z.strictObject({ name, condition }).nullable(),
  ...digested,
})

const sequence = z.strictObject({
  schema: name,
  name,
  lastValue: z.string().regex(/^-?\d{1,20}$/),
  isCalled: z.boolean(),
})

/** One COPY block inside a `rows` artifact: `bytes` of data after its header line. */
const block = z.strictObject({ table: count, bytes: count, ...digested })

const inventorySchema = z.strictObject({
  type: z.literal('coffre-inventory'),
  format: z.literal(1),
  backup: z.string(),
  source: z.string(),
  server: z.strictObject({
    version: text,
    versionNumber: count,
    systemIdentifier: z.string().regex(/^\d{1,20}$/),
  }),
  database,
  roles: z.array(role),
  extensions: z.array(z.strictObject({ name, version: text })),
  /** What only a superuser can make again, extensions apart; the kinds are words for people. */
  superuserOnly: z.array(z.strictObject({ kind: text, name })),
  tables: z.array(table),
  sequences: z.array(sequence),
  /** Tables that a standby has no rows of, being unlogged: defined, and empty after a restore. Absent where there are none. */
  rowsNotRead: z
    .array(z.strictObject({ schema: name, name }))
    .min(1)
    .optional(),
  /** The large objects' content as one digest over (oid, position, bytes); null where there are none. */
  largeObjects: z.strictObject({ objects: count, ...digested }).nullable(),
  rowArtifacts: z.array(z.strictObject({ name: z.string(), blocks: z.array(block), sequences: z.boolean() })),
})

export type Inventory = z.infer<typeof inventorySchema>
export type InventoryTable = z.infer<typeof table>
export type InventorySequence = z.infer<typeof sequence>
export type InventoryDatabase = z.infer<typeof database>
export type InventoryRole = z.infer<typeof role>
export type InventoryTableName = Pick<InventoryTable, 'schema' | 'name'>
export type InventoryExtension = Inventory['extensions'][number]

/** Throws ERR_FORMAT. The bytes must already have been found equal to the signed manifest's digests. */
export function parseInventory(bytes: Buffer): Inventory {
  const parsed = inventorySchema.safeParse(completeFirstForm(decodeJson(bytes, 'the inventory')))
  if (!parsed.success) {
    throw new CoffreError(
      'ERR_FORMAT',
      `the inventory does not follow format 1: ${z.prettifyError(parsed.error)}`,
    )
  }
  const inventory = parsed.data
  for (const artifact of inventory.rowArtifacts) {
    for (const { table } of artifact.blocks) {
      if (table >= inventory.tables.length) {
        throw new CoffreError('ERR_FORMAT', `${artifact.name} speaks of a table the inventory does not have`)
      }
    }
  }
  return inventory
}
