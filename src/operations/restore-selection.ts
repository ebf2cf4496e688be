/**
 * restore of some tables or schemas: finds what was named among the definitions and in the inventory, and says what comes,
 * what comes without its rows, and what stays behind. Names are matched whole; what is ambiguous is refused.
 */
import { CoffreError } from '../errors.ts'
import type { Inventory } from '../model/inventory.ts'
import { parseListing, type ArchiveEntry } from '../postgres/archive-listing.ts'
import { ArchiveNames } from '../postgres/archive-names.ts'
import { selectEntries } from '../postgres/archive-selection.ts'
import { collectOutput, startClient, writeTo } from '../postgres/client-tools.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import type { Context } from './context.ts'
import type { OpenedBackup } from './opened-backup.ts'

export interface RestoreNames {
  /** As people write them: `name`, `schema.name`, with SQL's double quotes where there is a dot or a quote in a name. */
  readonly tables: readonly string[]
  readonly schemas: readonly string[]
}

export interface Selection {
  /** For pg_restore --use-list. */
  readonly useList: string
  /** What of the inventory is restored, and judged. */
  readonly inventory: Inventory
  /** Positions in the backup's inventory. */
  readonly tables: ReadonlySet<number>
  /** `TABLE public customers`: there, and empty. */
  readonly definitionsOnly: readonly string[]
  readonly leftOut: readonly string[]
}

const listingLimitBytes = 512 * 1024 * 1024

/** Throws ERR_USAGE where nothing, or more than one thing, has a name. */
export async function select(
  context: Context,
  opened: OpenedBackup,
  access: ServerAccess,
  { inventory, names }: { readonly inventory: Inventory; readonly names: RestoreNames },
): Promise<Selection> {
  const entries = parseListing(await readListing(context, opened, access))
  const listing = new ArchiveNames(entries, inventory)
  const wanted = {
    tables: new Set([
      ...names.tables.map((name) => listing.table(name).id),
      ...names.schemas.flatMap((name) => listing.schema(name).tables),
    ]),
    others: new Set(names.schemas.flatMap((name) => listing.schema(name).others)),
  }
  const selected = selectEntries(entries, wanted)
  const chosen = new Set(selected.entries.map(({ id }) => id))
  const tables = new Set(selected.tables.flatMap((entry) => listing.inventoryTable(entry)))
  const say = (one: ArchiveEntry): string => `${one.kind} ${listing.named(one)}`
  return {
    useList: `${selected.entries.map(({ line }) => line).join('\n')}\n`,
    tables,
    inventory: {
      ...inventory,
      tables: inventory.tables.filter((_table, at) => tables.has(at)),
      sequences: inventory.sequences.filter((sequence) =>
        listing.find('SEQUENCE', sequence.schema, sequence.name).some(({ id }) => chosen.has(id)),
      ),
      rowsNotRead: inventory.rowsNotRead?.filter(({ schema, name }) =>
        listing.find('TABLE', schema, name).some(({ id }) => chosen.has(id)),
      ),
      extensions: inventory.extensions.filter(({ name }) =>
        selected.entries.some(({ kind, text }) => kind === 'EXTENSION' && text.trim() === `- ${name}`),
      ),
      superuserOnly: [],
      largeObjects: null,
    },
    definitionsOnly: selected.definitionsOnly.map(say),
    leftOut: selected.leftOut.map(say),
  }
}

async function readListing(context: Context, opened: OpenedBackup, access: ServerAccess): Promise<string> {
  const [artifact] = opened.artifacts('schema')
  if (artifact === undefined) throw new CoffreError('ERR_FORMAT', 'the backup has no definitions')
  const { environment, signal } = context
  const client = await startClient(access, 'pg_restore', ['--list', '--verbose'], { environment, signal })
  const listing = collectOutput(client, listingLimitBytes)
  listing.catch(() => undefined)
  try {
    for await (const bytes of opened.plain(artifact)) {
      // A list needs only the archive's beginning.
      if (!(await writeTo(client, bytes))) break
    }
  } catch (error) {
    client.kill()
    throw error
  }
  client.stdin.end()
  return (await listing).toString('utf8')
}
