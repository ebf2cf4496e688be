/** coffre show ID|latest */
import { show, type ShowResult } from '../../operations/show.ts'
import { identityFrom, type IdentityOptions } from '../identity.ts'
import type { Session } from '../session.ts'
import { formatBytes, formatTable } from '../units.ts'

export interface ShowOptions extends IdentityOptions {
  readonly source?: string
  readonly inventory?: boolean
}

export async function showCommand(session: Session, id: string, options: ShowOptions): Promise<void> {
  const config = await session.config()
  const repository = await session.repository(config, 'reader')
  const identity = options.inventory === true ? await identityFrom(session, options) : undefined
  const result = await show(session.context, {
    repository,
    selector: { id, source: options.source },
    identity,
  })
  session.print(result, describe(result))
}

function describe({ manifest, manifestSha256, inventory }: ShowResult): string {
  const { compression, postgres, artifacts } = manifest
  const facts = [
    ['backup', manifest.backup],
    ['source', manifest.source],
    ['snapshot', manifest.snapshotTime],
    ['number', `${manifest.sequence}, after ${manifest.previous ?? 'nothing'}`],
    ['manifest', manifestSha256],
    ['made by', `coffre ${manifest.coffre}, pg_dump ${postgres.pgDump}, PostgreSQL ${postgres.server}`],
    ['restore with', `pg_restore ${postgres.minimumPgRestore} or newer`],
    ['compression', `${compression.algorithm} ${compression.level}`],
    ...manifest.recipients.map(({ fingerprint }) => ['readable by', fingerprint]),
  ]
  const files = artifacts.map(({ name, bytes, sha256 }) => [name, formatBytes(bytes), sha256])
  const tables = inventory?.tables.map(({ schema, name, rows, digest }) => [
    `${schema}.${name}`,
    String(rows),
    digest,
  ])
  return [
    formatTable(facts, []),
    '',
    formatTable([['ARTIFACT', 'SEALED', 'SHA-256'], ...files], [1]),
    ...(tables === undefined ? [] : ['', formatTable([['TABLE', 'ROWS', 'ROW DIGEST'], ...tables], [1])]),
  ].join('\n')
}
