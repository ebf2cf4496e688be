/**
 * Names in the listing of an archive, which stand there unquoted before the owner's: they are found by the whole of `SCHEMA
 * NAME OWNER`, with the owners the inventory knows. What two things are listed as is refused.
 */
import { CoffreError } from '../errors.ts'
import type { Inventory } from '../model/inventory.ts'
import { listed, type ArchiveEntry } from './archive-listing.ts'
import { attachedKinds } from './archive-selection.ts'

export class ArchiveNames {
  readonly #entries: readonly ArchiveEntry[]
  readonly #inventory: Inventory
  readonly #owners: readonly string[]
  readonly #schemas: ReadonlySet<string>
  readonly #byText: ReadonlyMap<string, readonly ArchiveEntry[]>
  readonly #tables: ReadonlyMap<string, readonly number[]>

  constructor(entries: readonly ArchiveEntry[], inventory: Inventory) {
    this.#entries = entries
    this.#inventory = inventory
    this.#owners = [inventory.database.owner, ...inventory.roles.map(({ name }) => name)].map(listed)
    const schemas = [...inventory.tables, ...inventory.sequences].map(({ schema }) => schema)
    this.#schemas = new Set(['public', ...schemas, ...this.#listedSchemas()])
    this.#byText = Map.groupBy(entries, ({ kind, text }) => `${kind} ${text}`)
    const positions = inventory.tables.map(
      ({ schema, name }, at) => [`${listed(schema)} ${listed(name)}`, at] as const,
    )
    const grouped = Map.groupBy(positions, ([text]) => text)
    this.#tables = new Map([...grouped].map(([text, found]) => [text, found.map(([, at]) => at)]))
  }

  find(kind: string, schema: string, name: string): readonly ArchiveEntry[] {
    const head = `${kind} ${listed(schema)} ${listed(name)}`
    return [...new Set(this.#owners)].flatMap((owner) => this.#byText.get(`${head} ${owner}`) ?? [])
  }

  /** `name` or `schema.name`. Throws ERR_USAGE unless it is one table. */
  table(written: string): ArchiveEntry {
    const parts = parseName(written)
    const [first = '', second] = parts
    const places =
      second === undefined ? [...this.#schemas].map((schema) => [schema, first]) : [[first, second]]
    const found = places.flatMap(([schema = '', name = '']) =>
      this.find('TABLE', schema, name).map((entry) => ({ entry, schema, name })),
    )
    const [one, ...more] = found
    if (one === undefined) {
      throw new CoffreError('ERR_USAGE', `the backup has no table ${written}`, {
        hint: 'coffre show ID --inventory lists them; schema.name, as they are written there, with "double quotes" around a name with a dot',
      })
    }
    if (more.length > 0) {
      const where = found.map(({ schema, name }) => `${schema}.${name}`).join(', ')
      throw new CoffreError('ERR_USAGE', `more than one table may be meant by ${written}: ${where}`, {
        hint: 'write schema.name',
      })
    }
    return one.entry
  }

  /** Everything that lies in a schema, itself included. Throws ERR_USAGE. */
  schema(written: string): { readonly tables: readonly number[]; readonly others: readonly number[] } {
    const [name = '', more] = parseName(written)
    if (more !== undefined || !this.#schemas.has(name)) {
      throw new CoffreError('ERR_USAGE', `the backup has no schema ${written}`, {
        hint: `it has ${[...this.#schemas].join(', ')}`,
      })
    }
    const head = `${listed(name)} `
    const alike = [...this.#schemas].find((one) => one !== name && `${listed(one)} `.startsWith(head))
    if (alike !== undefined)
      throw new CoffreError(
        'ERR_USAGE',
        `${JSON.stringify(name)} and ${JSON.stringify(alike)} cannot be told apart`,
        {
          hint: 'name the tables instead, with --table',
        },
      )
    const inside = this.#entries.filter(
      ({ kind, text }) => text.startsWith(head) && !/^(PUBLICATION|SUBSCRIPTION) /.test(kind),
    )
    const itself = this.find('SCHEMA', '-', name)
    return {
      tables: inside.filter(({ kind }) => kind === 'TABLE').map(({ id }) => id),
      others: [...itself, ...inside]
        .filter(({ kind }) => kind !== 'TABLE' && (kind === 'SEQUENCE' || !attachedKinds.has(kind)))
        .map(({ id }) => id),
    }
  }

  /** Where in the inventory; a partitioned table has no rows of its own, and no place there. Throws ERR_USAGE. */
  inventoryTable(entry: ArchiveEntry): readonly number[] {
    const found = new Set(this.#heads(entry).flatMap((head) => this.#tables.get(head) ?? []))
    if (found.size > 1) {
      const named = [...found].map((at) => this.#inventory.tables[at]?.name ?? '')
      throw new CoffreError(
        'ERR_USAGE',
        `the tables ${named.map((one) => JSON.stringify(one)).join(' and ')} cannot be told apart`,
        {
          hint: 'restore all of it, under a new name',
        },
      )
    }
    return [...found]
  }

  /** Without the owner. */
  named(entry: ArchiveEntry): string {
    return this.#heads(entry)[0] ?? entry.text.trim()
  }

  #heads({ text }: ArchiveEntry): readonly string[] {
    return [...new Set(this.#owners)]
      .filter((owner) => text.endsWith(` ${owner}`))
      .map((owner) => text.slice(0, -owner.length - 1))
  }

  #listedSchemas(): readonly string[] {
    return this.#entries
      .filter(({ kind }) => kind === 'SCHEMA')
      .flatMap((entry) => this.#heads(entry).map((head) => head.slice('- '.length)))
  }
}

/** As SQL reads names, but that unquoted ones stay as they are written. */
function parseName(written: string): readonly string[] {
  const parts = [...written.matchAll(/"((?:[^"]|"")+)"|([^".]+)|(\.)|(")/g)]
  const names = parts.filter(([, , , dot]) => dot === undefined)
  const alternate = parts.every(([, , , dot], at) => (dot === undefined) === (at % 2 === 0))
  if (
    !alternate ||
    names.length > 2 ||
    names.length === 0 ||
    parts.length % 2 === 0 ||
    parts.some(([, , , , stray]) => stray)
  ) {
    throw new CoffreError('ERR_USAGE', `${written} is not a name`, {
      hint: 'name, or schema.name, or "a.b"."c d"',
    })
  }
  return names.map(([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain)
}
