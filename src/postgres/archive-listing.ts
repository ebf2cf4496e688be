/**
 * What `pg_restore --list --verbose` says of an archive of definitions: its entries, and which of them depend on which. It
 * writes names unquoted, with a blank for a line break (PostgreSQL's source, PrintTOCSummary and sanitize_line): whoever looks
 * for a name asks by the whole of what stands there.
 */

export interface ArchiveEntry {
  readonly id: number
  /** TABLE, FK CONSTRAINT and so on. */
  readonly kind: string
  /** `SCHEMA NAME OWNER`, as listed. */
  readonly text: string
  /** Entries of this archive and others. */
  readonly dependsOn: readonly number[]
  /** As `pg_restore --use-list` takes it. */
  readonly line: string
}

/** Of more than one word; no other kind has these for its beginning but the longer ones here. */
const longKinds = [
  'ACCESS METHOD,CHECK CONSTRAINT,DATABASE PROPERTIES,DEFAULT ACL,EVENT TRIGGER,FK CONSTRAINT,FOREIGN DATA WRAPPER',
  'FOREIGN TABLE,INDEX ATTACH,MATERIALIZED VIEW DATA,MATERIALIZED VIEW,OPERATOR CLASS,OPERATOR FAMILY,PROCEDURAL LANGUAGE',
  'PUBLICATION TABLES IN SCHEMA,PUBLICATION TABLE,ROW SECURITY,SECURITY LABEL,SEQUENCE OWNED BY,SHELL TYPE,STATISTICS DATA',
  'SUBSCRIPTION TABLE,TABLE ATTACH,TEXT SEARCH CONFIGURATION,TEXT SEARCH DICTIONARY,TEXT SEARCH PARSER',
  'TEXT SEARCH TEMPLATE,USER MAPPING,BLOB METADATA',
].flatMap((kinds) => kinds.split(','))

export function parseListing(listing: string): readonly ArchiveEntry[] {
  const entries: { id: number; kind: string; text: string; dependsOn: number[]; line: string }[] = []
  for (const line of listing.split('\n')) {
    const dependencies = /^;\tdepends on:((?: \d+)+)$/.exec(line)?.[1]
    if (dependencies !== undefined) {
      entries.at(-1)?.dependsOn.push(...dependencies.trim().split(' ').map(Number))
      continue
    }
    const [, id, rest] = /^(\d+); \d+ \d+ (.+)$/.exec(line) ?? []
    if (id === undefined || rest === undefined) continue
    const kind = longKinds.find((one) => rest.startsWith(`${one} `)) ?? rest.slice(0, rest.indexOf(' '))
    entries.push({ id: Number(id), kind, text: rest.slice(kind.length + 1), dependsOn: [], line })
  }
  return entries
}

/** A name as it stands in a listing. */
export function listed(name: string): string {
  return name.replaceAll(/[\r\n]/g, ' ')
}
