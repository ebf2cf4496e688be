/**
 * The order in which an extension's configuration tables take their rows: CREATE EXTENSION makes their foreign keys before
 * any row comes (pg_dump orders them so too). Tables of the user's need none, as their foreign keys come last.
 */
import type { CatalogTable } from './catalog.ts'

type Referring = Pick<CatalogTable, 'oid' | 'references'>

/** Each table behind those it refers to, as far as they are here; where they go round in a circle, as they stand. */
export function inReferenceOrder<T extends Referring>(tables: readonly T[]): readonly T[] {
  const { free, circular } = takeApart(tables)
  return [...free, ...circular]
}

/** In words, where tables refer to each other in a circle: no order of these, and of what refers to them, can be loaded. */
export function circularReferences(tables: readonly CatalogTable[]): readonly string[] {
  const { circular } = takeApart(tables.filter(({ extension }) => extension !== null))
  if (circular.length === 0) return []
  const names = circular.map(({ schema, name }) => `${schema}.${name}`).join(', ')
  return [`the foreign keys of an extension's tables go round in a circle: ${names} may not load`]
}

function takeApart<T extends Referring>(
  tables: readonly T[],
): { readonly free: readonly T[]; readonly circular: readonly T[] } {
  const free: T[] = []
  let left = tables
  for (;;) {
    const waiting = new Set(left.map(({ oid }) => oid))
    const ready = left.filter(({ references }) => !references.some((oid) => waiting.has(oid)))
    if (ready.length === 0) break
    free.push(...ready)
    const taken = new Set(ready)
    left = left.filter((table) => !taken.has(table))
  }
  return { free, circular: left }
}
