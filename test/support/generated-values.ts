/** Column types with values at random, each as SQL; among them the edges that text forms get wrong. */
import * as fc from 'fast-check'

export interface ColumnType {
  /** As in CREATE TABLE. */
  readonly name: string
  /** SQL expressions that fit into such a column; never NULL. */
  readonly values: fc.Arbitrary<string>
  /** Whether a btree index takes it. */
  readonly sorts: boolean
}

/** With standard_conforming_strings on. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

const awkward = [
  '',
  '\\N',
  '\\.',
  '\n',
  '\r\n',
  '\t',
  '\\',
  "'",
  '"',
  ',',
  '{',
  '}',
  'NULL',
  '\u{1f3e2}',
  'é',
  '\u0001',
  '\u007f',
  '(',
  ' ',
]
/** Unicode without the NUL that PostgreSQL's texts cannot hold. */
export const texts: fc.Arbitrary<string> = fc.oneof(
  fc.array(fc.constantFrom(...awkward), { maxLength: 8 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
)

const floats = (bits: 32 | 64): fc.Arbitrary<string> =>
  (bits === 32 ? fc.float() : fc.double()).map((n) => literal(Object.is(n, -0) ? '-0' : String(n)))
const bytes = fc.uint8Array({ maxLength: 40 }).map((all) => `'\\x${Buffer.from(all).toString('hex')}'::bytea`)
const integers = fc.oneof(fc.integer(), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 0)).map((n) => `(${n})`)
const bigintegers = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }).map((n) => `(${n})`)
const numerics = fc.oneof(
  fc.tuple(fc.bigInt(), fc.integer({ min: -60, max: 60 })).map(([n, power]) => `'${n}e${power}'`),
  fc.constantFrom("'NaN'", "'Infinity'", "'-Infinity'", "'0.000'"),
)
/** From 4713 BC on, as far as dates go; and without end. */
const dates = fc.oneof(
  fc.integer({ min: -2_451_545, max: 100_000_000 }).map((days) => `(date '2000-01-01' + (${days}))`),
  fc.constantFrom("'infinity'", "'-infinity'", "'0044-03-15 BC'"),
)
const moments = fc.oneof(
  fc
    .tuple(fc.integer({ min: -2_451_000, max: 100_000_000 }), fc.integer({ min: 0, max: 86_399_999_999 }))
    .map(
      ([days, microseconds]) =>
        `(timestamp '2000-01-01' + interval '${days} days ${microseconds} microseconds')`,
    ),
  fc.constantFrom("'infinity'", "'-infinity'", "'epoch'"),
)
const intervals = fc
  .tuple(fc.integer({ min: -99_999, max: 99_999 }), fc.integer(), fc.integer({ min: -1e15, max: 1e15 }))
  .map(
    ([months, days, microseconds]) =>
      `make_interval(months => ${months}, days => (${days})) + ${microseconds} * interval '1 microsecond'`,
  )
const documents = fc
  .json()
  .filter((text) => !text.includes('\\u0000'))
  .map(literal)

/** NULL among the elements, and lower bounds other than 1. */
const arrayOf = (type: ColumnType): ColumnType => ({
  name: `${type.name}[]`,
  sorts: type.sorts,
  values: fc
    .array(fc.oneof({ weight: 4, arbitrary: type.values }, { weight: 1, arbitrary: fc.constant('NULL') }), {
      maxLength: 5,
    })
    .map((elements) => `ARRAY[${elements.join(', ')}]::${type.name}[]`),
})

const simple: readonly ColumnType[] = [
  { name: 'int', values: integers, sorts: true },
  { name: 'smallint', values: fc.integer({ min: -32768, max: 32767 }).map((n) => `(${n})`), sorts: true },
  { name: 'bigint', values: bigintegers, sorts: true },
  { name: 'numeric', values: numerics, sorts: true },
  { name: 'real', values: floats(32), sorts: true },
  { name: 'double precision', values: floats(64), sorts: true },
  { name: 'boolean', values: fc.constantFrom('true', 'false'), sorts: true },
  { name: 'text', values: texts.map(literal), sorts: true },
  { name: 'text COLLATE "C"', values: texts.map(literal), sorts: true },
  { name: 'varchar(40)', values: texts.map((text) => `left(${literal(text)}, 40)`), sorts: true },
  { name: 'char(30)', values: texts.map((text) => `left(${literal(text)}, 30)`), sorts: true },
  { name: '"char"', values: fc.constantFrom("''", "'a'", "'\\'", "' '"), sorts: true },
  { name: 'name', values: texts.map((text) => `left(${literal(text)}, 15)`), sorts: true },
  { name: 'bytea', values: bytes, sorts: true },
  { name: 'bit varying', values: fc.stringMatching(/^[01]{0,20}$/).map((bits) => `B'${bits}'`), sorts: true },
  { name: 'date', values: dates, sorts: true },
  { name: 'timestamp', values: moments, sorts: true },
  { name: 'timestamptz', values: moments.map((moment) => `${moment}::timestamptz`), sorts: true },
  { name: 'timestamptz(2)', values: moments.map((moment) => `${moment}::timestamptz`), sorts: true },
  { name: 'interval', values: intervals, sorts: true },
  { name: 'uuid', values: fc.uuid().map(literal), sorts: true },
  { name: 'json', values: documents, sorts: false },
  { name: 'jsonb', values: documents, sorts: true },
  {
    name: 'int4range',
    values: fc
      .tuple(fc.integer(), fc.integer())
      .map(([a, b]) => `int4range(${Math.min(a, b)}, ${Math.max(a, b)})`),
    sorts: true,
  },
  { name: 'inet', values: fc.oneof(fc.ipV4(), fc.ipV6()).map((address) => literal(address)), sorts: true },
  {
    name: 'point',
    values: fc
      .tuple(fc.double(), fc.double())
      .map(([x, y]) => `point(${literal(String(x))}, ${literal(String(y))})`),
    sorts: false,
  },
]

const labels = ['red', 'light "blue"', "it's", 'a, b', '\\', '\u{1f3e2}', '']
const made: readonly ColumnType[] = [
  { name: 'colour', values: fc.constantFrom(...labels).map(literal), sorts: true },
  { name: 'short_text', values: texts.map((text) => `left(${literal(text)}, 9)`), sorts: true },
  {
    name: 'pair',
    values: fc
      .tuple(integers, texts, fc.constantFrom(...labels))
      .map(([n, text, label]) => `ROW(${n}, ${literal(text)}, ${literal(label)})::pair`),
    sorts: true,
  },
]

/** What the types of `made` are: to be run first. */
export const typeDefinitions = `
  CREATE TYPE colour AS ENUM (${labels.map(literal).join(', ')});
  CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 10);
  CREATE TYPE pair AS (n int, "t ""quoted""" text, c colour);`

const own = (type: ColumnType): ColumnType =>
  type.name.includes(' COLLATE ') ? { ...type, name: 'text' } : type

export const columnTypes: readonly ColumnType[] = [
  ...simple,
  ...made,
  ...[...simple, ...made].map((type) => arrayOf(own(type))),
]
