/** The demo's proof that coffre is not needed to read what it wrote: one artifact of rows, opened by the installed gpg. */
import { createReadStream } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { CoffreError } from '../../errors.ts'
import type { GeneratedKey } from '../../openpgp/keys.ts'
import { openStockGpg } from '../../openpgp/stock-gpg.ts'
import type { BackupResult } from '../../operations/backup.ts'
import { decompress } from '../../pipeline/compression.ts'
import { artifactKey } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import type { Session } from '../session.ts'

export interface GpgStep {
  readonly folder: string
  readonly repository: Repository
  readonly made: BackupResult
  readonly reader: GeneratedKey
}

export async function openWithGpg(
  session: Session,
  { folder, repository, made, reader }: GpgStep,
): Promise<void> {
  const artifact = made.artifacts.findLast(({ kind }) => kind === 'rows')
  if (artifact === undefined) throw new CoffreError('ERR_INTERNAL', 'the backup has no rows')
  const sealed = join(folder, 'rows.sql.zst.gpg')
  const compressed = join(folder, 'rows.sql.zst')
  const stored = repository.store.get(artifactKey({ source: made.source, id: made.id }, artifact.name))
  await writeFile(sealed, Readable.from(stored))
  await using gpg = await openStockGpg(reader.secretKey, session.context.environment)
  await gpg.decrypt(sealed, compressed)
  session.say(`   ${gpg.version}: gpg --decrypt ${artifact.name} | zstd -d`)
  for (const line of await firstRows(compressed)) session.say(`     ${line}`)
  await Promise.all([rm(sealed), rm(compressed)])
}

/** The header of a block of rows that has some, and its first rows, cut to a screen's width. */
async function firstRows(compressed: string): Promise<readonly string[]> {
  let text = ''
  for await (const bytes of decompress(createReadStream(compressed), 'zstd')) {
    text += bytes.toString('utf8')
    const lines = text.split('\n')
    const header = lines.findIndex(
      (line, at) => line.startsWith('COPY ') && !(lines[at + 3] ?? '\\.').startsWith('\\.'),
    )
    if (header >= 0)
      return lines.slice(header, header + 4).map((line) => line.replaceAll('\t', '  ').slice(0, 96))
  }
  return text.split('\n').slice(0, 4)
}
