/**
 * The rows of some tables → one sealed artifact, over a session whose transaction reads the snapshot: a lane's own, or
 * the one that holds the snapshot and its locks, where a lane cannot have a lock of its own. Whoever lends the session
 * began its transaction and ends it.
 */
import { CoffreError } from '../errors.ts'
import { RowDigester } from '../model/row-digest.ts'
import { quoteQualified } from '../postgres/quoting.ts'
import { copyOutStatement, type TableRows } from '../postgres/row-statements.ts'
import type { Session } from '../postgres/session.ts'
import { assertSameTables } from '../postgres/source-snapshot.ts'
import type { LaneResults, SealedBlock, SealRowsTask } from './lane-tasks.ts'
import { blockFooter, blockHeader, EndMarkerGuard } from './row-blocks.ts'
import { ArtifactSealer } from './seal.ts'

type SealedRows = LaneResults['seal-rows']

/** What is sealed, wherever it is done. */
export type RowsToSeal = Pick<SealRowsTask, 'seal' | 'blocks' | 'preamble' | 'trailer'>

/** Yields the artifact, returns its facts. Throws ERR_SOURCE for a name that changed its meaning. */
export async function* sealBlocks(
  session: Session,
  { seal, blocks, preamble, trailer }: RowsToSeal,
  onProgress: (plainBytes: number) => void,
): AsyncGenerator<Buffer, SealedRows> {
  const digester = new RowDigester()
  const sealer = new ArtifactSealer(seal, seal.compression, digester.buffer)
  const tables = blocks.map(({ oid, rows }) => ({ oid, schema: rows.schema, name: rows.name }))
  await assertSameTables(session, tables)
  yield* sealer.begin()
  yield* sealer.append(Buffer.from(preamble))
  const sealed: SealedBlock[] = []
  for (const { rows, pages } of blocks) {
    yield* sealer.append(blockHeader(rows))
    const before = sealer.plainBytes
    const guard = new EndMarkerGuard()
    for await (const bytes of namingTable(session.copyTo(copyOutStatement(rows, pages)), rows)) {
      guard.check(bytes)
      const pieces = sealer.append(bytes, (offset, length) => digester.scan(offset, length))
      yield* pieces
      if (pieces.length > 0) onProgress(sealer.plainBytes)
    }
    sealed.push({ ...digester.finish(), bytes: sealer.plainBytes - before })
    yield* sealer.append(blockFooter)
  }
  await assertSameTables(session, tables)
  yield* sealer.append(Buffer.from(trailer))
  const end = sealer.finish()
  yield* end.pieces
  return { ...end.sealed, blocks: sealed }
}

/** What the server says of a COPY that failed seldom says of which table. */
async function* namingTable(
  bytes: AsyncIterable<Buffer>,
  { schema, name }: TableRows,
): AsyncGenerator<Buffer> {
  try {
    yield* bytes
  } catch (error) {
    if (!(error instanceof CoffreError)) throw error
    const message = `the table ${quoteQualified(schema, name)} could not be read: ${error.message}`
    throw new CoffreError(error.code, message, { hint: error.hint, cause: error })
  }
}

/** The same as a lane gives it: the artifact as a stream to put into a store, and its facts when that was read to its end. */
export function sealHere(
  session: Session,
  rows: RowsToSeal,
  onProgress: (plainBytes: number) => void,
): { readonly output: AsyncIterable<Buffer>; readonly result: Promise<SealedRows> } {
  const { promise, resolve, reject } = Promise.withResolvers<SealedRows>()
  promise.catch(() => undefined)
  async function* output(): AsyncGenerator<Buffer> {
    try {
      resolve(yield* sealBlocks(session, rows, onProgress))
    } finally {
      // After the result this does nothing.
      reject(new CoffreError('ERR_NOT_STORED', 'an artifact of rows was not read to its end'))
    }
  }
  return { output: output(), result: promise }
}
