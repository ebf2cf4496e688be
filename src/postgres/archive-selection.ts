/**
 * Which definitions of an archive make some of its tables, or one schema, by themselves: what they need, and what belongs to
 * them and needs nothing that is not there. A decision on entries and their dependencies; it reads no names.
 */
import type { ArchiveEntry } from './archive-listing.ts'

export interface Wanted {
  /** Tables whose rows come too. */
  readonly tables: ReadonlySet<number>
  /** What else is wished for if nothing is missing that it stands on: the other things of a schema. */
  readonly others: ReadonlySet<number>
}

export interface ArchiveSelection {
  /** In the archive's order, which pg_restore keeps. */
  readonly entries: readonly ArchiveEntry[]
  /** The wanted tables, with the partitions of those that have some. */
  readonly tables: readonly ArchiveEntry[]
  /** Tables that had to come along, without their rows. */
  readonly definitionsOnly: readonly ArchiveEntry[]
  /** What names something that is there, and is not there itself. */
  readonly leftOut: readonly ArchiveEntry[]
}

const relationKinds = new Set(['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW'])

/** Parts of a relation, or words about something. */
export const attachedKinds = new Set(
  [
    'DEFAULT,SEQUENCE,SEQUENCE OWNED BY,CONSTRAINT,CHECK CONSTRAINT,FK CONSTRAINT,INDEX,INDEX ATTACH,TABLE ATTACH',
    'TRIGGER,RULE,POLICY,ROW SECURITY,STATISTICS,STATISTICS DATA,MATERIALIZED VIEW DATA,COMMENT,ACL,SECURITY LABEL',
  ].flatMap((kinds) => kinds.split(',')),
)

/** True also where a table of theirs came without its rows. */
const contentWithDefinitions = new Set([
  'DEFAULT',
  'TABLE ATTACH',
  'INDEX ATTACH',
  'SEQUENCE OWNED BY',
  'COMMENT',
  'ACL',
  'SECURITY LABEL',
])

export function selectEntries(entries: readonly ArchiveEntry[], wanted: Wanted): ArchiveSelection {
  return new Selecting(entries, wanted).result()
}

class Selecting {
  readonly #entries: readonly ArchiveEntry[]
  readonly #byId: ReadonlyMap<number, ArchiveEntry>
  readonly #wanted: Wanted
  /** Relations that are as they were: those with their rows, and the views on them. */
  readonly #whole: Set<number>
  readonly #chosen = new Set<number>()

  constructor(entries: readonly ArchiveEntry[], wanted: Wanted) {
    this.#entries = entries
    this.#byId = new Map(entries.map((entry) => [entry.id, entry]))
    this.#wanted = wanted
    this.#whole = new Set(wanted.tables)
    this.#addPartitions()
    for (const id of this.#whole) this.#add(this.#neededBy(id))
    while (this.#round()) {
      // Until nothing more comes in: a foreign key waits for the other table's key, a view for another view.
    }
  }

  result(): ArchiveSelection {
    const chosen = this.#entries.filter(({ id }) => this.#chosen.has(id))
    const tables = chosen.filter(({ id, kind }) => this.#whole.has(id) && kind === 'TABLE')
    return {
      entries: chosen,
      tables,
      definitionsOnly: chosen.filter(({ id, kind }) => relationKinds.has(kind) && !this.#whole.has(id)),
      leftOut: this.#entries.filter(
        ({ id, dependsOn }) =>
          !this.#chosen.has(id) &&
          (this.#wanted.others.has(id) || dependsOn.some((one) => this.#whole.has(one))),
      ),
    }
  }

  /** A partition depends on what it is a partition of, not the other way round; the attaching depends on both. */
  #addPartitions(): void {
    const attachings = this.#entries.filter(({ kind }) => kind === 'TABLE ATTACH')
    for (let before = -1; before !== this.#whole.size; ) {
      before = this.#whole.size
      for (const { dependsOn } of attachings) {
        for (const child of dependsOn) {
          const parents = this.#byId.get(child)?.dependsOn ?? []
          if (dependsOn.some((one) => parents.includes(one) && this.#whole.has(one))) this.#whole.add(child)
        }
      }
    }
  }

  #round(): boolean {
    const before = this.#chosen.size
    for (const entry of this.#entries) {
      if (this.#chosen.has(entry.id)) continue
      const isAttached = attachedKinds.has(entry.kind) && this.#belongs(entry)
      if (!isAttached && !this.#wanted.others.has(entry.id)) continue
      const needed = this.#neededBy(entry.id)
      const relations = needed.filter(
        (id) => this.#isRelation(id) && id !== entry.id && !this.#chosen.has(id),
      )
      // A default is worth a table's definition (the owner of its sequence); nothing else is.
      if (relations.length > 0 && entry.kind !== 'DEFAULT') continue
      if (!isAttached && needed.some((id) => id !== entry.id && this.#isRelation(id) && !this.#whole.has(id)))
        continue
      this.#add(needed)
      if (relationKinds.has(entry.kind)) this.#whole.add(entry.id)
    }
    return this.#chosen.size > before
  }

  #belongs({ kind, dependsOn }: ArchiveEntry): boolean {
    const here = dependsOn.filter((id) => this.#byId.has(id))
    const relations = here.filter((id) => this.#isRelation(id))
    if (kind === 'COMMENT' || kind === 'ACL' || kind === 'SECURITY LABEL' || kind === 'SEQUENCE OWNED BY')
      return here.length > 0 && here.every((id) => this.#chosen.has(id))
    if (!relations.some((id) => this.#whole.has(id))) return false
    const enough = contentWithDefinitions.has(kind) ? this.#chosen : this.#whole
    return relations.every((id) => enough.has(id))
  }

  #isRelation(id: number): boolean {
    return relationKinds.has(this.#byId.get(id)?.kind ?? '')
  }

  /** Itself, and all that it stands on. */
  #neededBy(id: number): readonly number[] {
    const found = new Set<number>()
    const look = [id]
    for (let next = look.pop(); next !== undefined; next = look.pop()) {
      const entry = this.#byId.get(next)
      if (entry === undefined || found.has(next)) continue
      found.add(next)
      look.push(...entry.dependsOn)
    }
    return [...found]
  }

  #add(ids: readonly number[]): void {
    for (const id of ids) this.#chosen.add(id)
  }
}
