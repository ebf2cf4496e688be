/**
 * A database at random, as the SQL that makes it: tables of all kinds with columns of all types, partitioned, inherited,
 * hashed, altered after they were filled; keys, references, checks, indexes, sequences and large objects. Whatever comes
 * out is legal. The same decisions give the same database.
 */
import * as fc from 'fast-check'
import { columnTypes, literal, texts, typeDefinitions, type ColumnType } from './generated-values.ts'

/** Takes a value of an arbitrary; what `fc.gen()` gives a property. */
export type Decide = <T>(arbitrary: fc.Arbitrary<T>) => T

interface Column {
  readonly name: string
  readonly type: ColumnType
}

interface Table {
  readonly name: string
  readonly columns: readonly Column[]
  /** Of ids that other tables may refer to, from 1 on; 0 where there is no key. */
  readonly ids: number
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const whole = (decide: Decide, min: number, max: number): number => decide(fc.integer({ min, max }))
const chance = (decide: Decide, percent: number): boolean => whole(decide, 1, 100) <= percent

/** Unique by its number, and odd by the rest; short enough to keep both. */
function newName(decide: Decide, kind: string, number: number): string {
  const rest = chance(decide, 40) ? decide(texts) : ''
  return `${kind}${number}${Array.from(rest).slice(0, 9).join('')}`
}

function newColumns(decide: Decide, prefix: string, most: number): readonly Column[] {
  return Array.from({ length: whole(decide, 0, most) }, (_, index) => ({
    name: newName(decide, prefix, index),
    type: decide(fc.constantFrom(...columnTypes)),
  }))
}

const defined = ({ name, type }: Column): string => `${quoted(name)} ${type.name}`

function valueFor(decide: Decide, { type }: Column): string {
  return chance(decide, 20) ? 'NULL' : decide(type.values)
}

/** One INSERT a row, so that a table without columns can have some too. `first`: columns whose values are given. */
function inserts(
  decide: Decide,
  table: string,
  columns: readonly Column[],
  rows: readonly Readonly<Record<string, string>>[],
): readonly string[] {
  return rows.map((given) => {
    const names = [...Object.keys(given), ...columns.map(({ name }) => name)]
    if (names.length === 0) return `INSERT INTO ${quoted(table)} DEFAULT VALUES`
    const values = [...Object.values(given), ...columns.map((column) => valueFor(decide, column))]
    return `INSERT INTO ${quoted(table)} (${names.map(quoted).join(', ')}) VALUES (${values.join(', ')})`
  })
}

/** What may follow when the rows are there: holes, dropped and added columns, indexes, rights to nothing. */
function altered(decide: Decide, { name, columns, ids }: Table, isPartitioned: boolean): readonly string[] {
  const table = quoted(name)
  const sorted = columns.filter(({ type }) => type.sorts)
  return [
    ...(chance(decide, 30) && !isPartitioned && ids === 0
      ? [`DELETE FROM ${table} WHERE ctid = (SELECT min(ctid) FROM ${table})`]
      : []),
    ...(chance(decide, 30)
      ? [`ALTER TABLE ${table} ADD COLUMN gone int DEFAULT 7`, `ALTER TABLE ${table} DROP COLUMN gone`]
      : []),
    ...(chance(decide, 30)
      ? [`ALTER TABLE ${table} ADD COLUMN "added ""later""" text DEFAULT ${literal(decide(texts))}`]
      : []),
    ...sorted
      .filter(() => chance(decide, 30))
      .map(
        (column) =>
          `CREATE INDEX ON ${table} (${quoted(column.name)} ${decide(fc.constantFrom('', 'DESC', 'NULLS FIRST'))})`,
      ),
    ...columns
      .filter(() => chance(decide, 10))
      .map((column) => `COMMENT ON COLUMN ${table}.${quoted(column.name)} IS ${literal(decide(texts))}`),
    ...(sorted[0] !== undefined && chance(decide, 20)
      ? [
          `CREATE MATERIALIZED VIEW ${quoted(`m ${name}`)} AS SELECT ${quoted(sorted[0].name)}, count(*) FROM ${table} GROUP BY 1`,
        ]
      : []),
  ]
}

/** A plain table, perhaps with a key that later ones refer to, and a reference of its own. */
function plainTable(
  decide: Decide,
  name: string,
  earlier: readonly Table[],
): { table: Table; statements: readonly string[] } {
  const columns = newColumns(decide, 'c', 6)
  const rowCount = whole(decide, 0, 8)
  const keyed = chance(decide, 60)
  const referred = decide(fc.constantFrom(undefined, ...earlier.filter(({ ids }) => ids > 0)))
  const identity = decide(fc.constantFrom('ALWAYS', 'BY DEFAULT'))
  const step = decide(fc.constantFrom('', '(CACHE 5)', '(MAXVALUE 100000 CYCLE)'))
  const parts = [
    ...(keyed ? [`id int GENERATED ${identity} AS IDENTITY ${step} PRIMARY KEY`] : []),
    ...(referred === undefined
      ? []
      : [
          `refers int REFERENCES ${quoted(referred.name)} ${decide(fc.constantFrom('', 'DEFERRABLE', 'ON DELETE CASCADE'))}`,
        ]),
    ...columns.map(defined),
    ...(keyed && chance(decide, 30) ? ['doubled bigint GENERATED ALWAYS AS (id * 2) STORED'] : []),
    ...(keyed && chance(decide, 30) ? [`CONSTRAINT ${quoted(newName(decide, 'k', 0))} CHECK (id > 0)`] : []),
  ]
  const reference = (): Readonly<Record<string, string>> =>
    referred === undefined
      ? {}
      : { refers: chance(decide, 30) ? 'NULL' : String(whole(decide, 1, referred.ids)) }
  const rows = Array.from({ length: rowCount }, reference)
  const create = `CREATE ${!keyed && chance(decide, 25) ? 'UNLOGGED ' : ''}TABLE ${quoted(name)} (${parts.join(', ')})`
  return {
    table: { name, columns, ids: keyed ? rowCount : 0 },
    statements: [create, ...inserts(decide, name, columns, rows)],
  }
}

const schemes = {
  range: ['FROM (MINVALUE) TO (-5)', 'FROM (-5) TO (5)', 'FROM (5) TO (MAXVALUE)'],
  list: ['IN (-9, -8, -7, -6, -5, -4, -3, -2, -1, NULL)', 'IN (0)', 'IN (1, 2, 3, 4, 5, 6, 7, 8, 9)'],
  hash: ['WITH (MODULUS 3, REMAINDER 0)', 'WITH (MODULUS 3, REMAINDER 1)', 'WITH (MODULUS 3, REMAINDER 2)'],
} as const

/** Partitioned by a number, by an enum's hash or by both; some parts with their columns the other way round. */
function partitionedTable(decide: Decide, name: string): { table: Table; statements: readonly string[] } {
  const columns = newColumns(decide, 'c', 4)
  const scheme = decide(fc.constantFrom('range', 'list', 'hash'))
  const key = scheme === 'hash' && chance(decide, 50) ? 'shade' : 'number'
  const all = ['number int', 'shade colour', ...columns.map(defined)]
  const part = (index: number): string => quoted(`${index} of ${name}`)
  const statements = [`CREATE TABLE ${quoted(name)} (${all.join(', ')}) PARTITION BY ${scheme} (${key})`]
  for (const [index, bound] of schemes[scheme].entries()) {
    const values = `FOR VALUES ${bound}`
    const shape = decide(fc.constantFrom('own', 'turned', 'divided'))
    if (shape === 'own') statements.push(`CREATE TABLE ${part(index)} PARTITION OF ${quoted(name)} ${values}`)
    if (shape === 'turned') {
      statements.push(`CREATE TABLE ${part(index)} (${all.toReversed().join(', ')})`)
      statements.push(`ALTER TABLE ${quoted(name)} ATTACH PARTITION ${part(index)} ${values}`)
    }
    if (shape === 'divided') {
      statements.push(
        `CREATE TABLE ${part(index)} PARTITION OF ${quoted(name)} ${values} PARTITION BY LIST (shade)`,
      )
      statements.push(
        `CREATE TABLE ${part(index + 10)} PARTITION OF ${part(index)} FOR VALUES IN ('red', '')`,
      )
      statements.push(`CREATE TABLE ${part(index + 20)} PARTITION OF ${part(index)} DEFAULT`)
    }
  }
  const shades = fc.constantFrom("'red'", "''", "'it''s'", 'NULL')
  const rows = Array.from({ length: whole(decide, 0, 12) }, () => ({
    number:
      scheme === 'range'
        ? String(whole(decide, -9, 9))
        : decide(fc.constantFrom('NULL', '0', '1', '-1', '9')),
    shade: decide(shades),
  }))
  return {
    table: { name, columns, ids: 0 },
    statements: [...statements, ...inserts(decide, name, columns, rows)],
  }
}

/** A child of one table or two, which get another column when the child is there: its columns are then in an order of their own. */
function inheritingTable(decide: Decide, name: string): { table: Table; statements: readonly string[] } {
  const [left, right] = [`${name} left`, `${name} right`]
  const shared = newColumns(decide, 's', 2)
  const columns = newColumns(decide, 'c', 3)
  const second = newColumns(decide, 'r', 2)
  const parents = chance(decide, 50) ? [left, right] : [left]
  const inherited = parents.length === 2 ? [...shared, ...second] : shared
  return {
    table: { name, columns: [...inherited, ...columns], ids: 0 },
    statements: [
      `CREATE TABLE ${quoted(left)} (${shared.map(defined).join(', ')})`,
      `CREATE TABLE ${quoted(right)} (${[...shared, ...second].map(defined).join(', ')})`,
      `CREATE TABLE ${quoted(name)} (${columns.map(defined).join(', ')}) INHERITS (${parents.map(quoted).join(', ')})`,
      `ALTER TABLE ${quoted(left)} ADD COLUMN late int DEFAULT ${whole(decide, -9, 9)}, ADD CONSTRAINT small CHECK (late < 10)`,
      ...inserts(
        decide,
        left,
        shared,
        Array.from({ length: whole(decide, 0, 3) }, () => ({})),
      ),
      ...inserts(
        decide,
        name,
        [...inherited, ...columns],
        Array.from({ length: whole(decide, 0, 5) }, () => ({})),
      ),
    ],
  }
}

function sequence(decide: Decide, index: number): readonly string[] {
  const name = quoted(newName(decide, 's', index))
  const up = chance(decide, 70)
  const calls = whole(decide, 0, 3)
  return [
    `CREATE SEQUENCE ${name} INCREMENT ${up ? whole(decide, 1, 9) : -whole(decide, 1, 9)} ${decide(fc.constantFrom('', 'CYCLE', 'CACHE 3'))}`,
    ...Array.from({ length: calls }, () => `SELECT nextval(${literal(name)})`),
    ...(chance(decide, 20)
      ? [`SELECT setval(${literal(name)}, ${up ? 77 : -77}, ${chance(decide, 50)})`]
      : []),
  ]
}

/** Each statement for itself: without a semicolon. */
export function generateDatabase(decide: Decide): readonly string[] {
  const tables: Table[] = []
  const statements = typeDefinitions
    .split(';')
    .map((one) => one.trim())
    .filter((one) => one !== '')
  for (const number of Array.from({ length: whole(decide, 3, 12) }).keys()) {
    const name = newName(decide, 't', number)
    const kind = decide(fc.constantFrom('plain', 'plain', 'partitioned', 'inheriting'))
    const made =
      kind === 'plain'
        ? plainTable(decide, name, tables)
        : kind === 'partitioned'
          ? partitionedTable(decide, name)
          : inheritingTable(decide, name)
    tables.push(made.table)
    statements.push(...made.statements, ...altered(decide, made.table, kind === 'partitioned'))
  }
  for (const index of Array.from({ length: whole(decide, 0, 3) }).keys())
    statements.push(...sequence(decide, index))
  for (const size of decide(fc.array(fc.constantFrom(0, 1, 2048, 5000), { maxLength: 3 })))
    statements.push(`SELECT lo_from_bytea(0, decode(repeat('5c', ${size}), 'hex'))`)
  return statements
}
