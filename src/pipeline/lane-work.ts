/**
 * What a lane does, apart from being a thread: each kind of task as one function over a session, a way to send
 * ciphertext out and a stream of ciphertext in. Sessions are kept from task to task; every task is one transaction of
 * its own, so that its locks go when it ends.
 */
import { Secret } from '../model/secret.ts'
import { RowDigester, type RowDigest } from '../model/row-digest.ts'
import { readToEnd, startClient } from '../postgres/client-tools.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import { PsqlSession } from '../postgres/psql-session.ts'
import { copyInStatement, copyOutStatement } from '../postgres/row-statements.ts'
import { assertSameTables, beginInSnapshot } from '../postgres/source-snapshot.ts'
import type {
  DigestTask,
  LaneConnection,
  LaneResults,
  LoadRowsTask,
  SealedBlock,
  SealProgramTask,
  SealRowsTask,
} from './lane-tasks.ts'
import { openArtifact } from './open.ts'
import { ArchiveCheck, GlobalsCheck } from './whole-output.ts'
import { blockFooter, blockHeader, EndMarkerGuard, RowBlockReader } from './row-blocks.ts'
import { ArtifactSealer } from './seal.ts'

/** What the thread lends a task. */
export interface LaneTools {
  readonly signal: AbortSignal
  readonly send: (piece: Buffer) => Promise<void>
  readonly progress: (plainBytes: number) => void
  readonly input: AsyncIterable<Buffer>
}

/** The lane's psql, opened when first needed and again after a failure or for another server. */
export class LaneSession {
  #open: { readonly key: string; readonly session: PsqlSession } | undefined

  async for(connection: LaneConnection, signal: AbortSignal): Promise<PsqlSession> {
    const key = JSON.stringify(connection)
    if (this.#open?.key !== key) {
      await this.close()
      const { environment, applicationName } = connection
      this.#open = {
        key,
        session: await PsqlSession.open(accessOf(connection), { environment, applicationName, signal }),
      }
    }
    return this.#open.session
  }

  drop(): void {
    this.#open?.session.kill()
    this.#open = undefined
  }

  async close(): Promise<void> {
    const session = this.#open?.session
    this.#open = undefined
    await session?.close()
  }
}

function accessOf({ access }: LaneConnection): ServerAccess {
  return { ...access, password: access.password === undefined ? undefined : new Secret(access.password) }
}

export async function sealRows(
  task: SealRowsTask,
  sessions: LaneSession,
  tools: LaneTools,
): Promise<LaneResults['seal-rows']> {
  const session = await sessions.for(task.connection, tools.signal)
  const digester = new RowDigester()
  const sealer = new ArtifactSealer(task.seal, task.seal.compression, digester.buffer)
  const out = async (pieces: Buffer[]): Promise<void> => {
    for (const piece of pieces) await tools.send(piece)
    if (pieces.length > 0) tools.progress(sealer.plainBytes)
  }
  await beginInSnapshot(session, task.snapshot, task.connection.lockTimeoutMs)
  const tables = task.blocks.map(({ oid, rows }) => ({ oid, schema: rows.schema, name: rows.name }))
  await assertSameTables(session, tables)
  await out([...sealer.begin(), ...sealer.append(Buffer.from(task.preamble))])
  const blocks: SealedBlock[] = []
  for (const { rows, pages } of task.blocks) {
    await out(sealer.append(blockHeader(rows)))
    const before = sealer.plainBytes
    const guard = new EndMarkerGuard()
    for await (const bytes of session.copyTo(copyOutStatement(rows, pages))) {
      guard.check(bytes)
      await out(sealer.append(bytes, (offset, length) => digester.scan(offset, length)))
    }
    blocks.push({ ...digester.finish(), bytes: sealer.plainBytes - before })
    await out(sealer.append(blockFooter))
  }
  await assertSameTables(session, tables)
  await session.execute('COMMIT')
  const { pieces, sealed } = (await out(sealer.append(Buffer.from(task.trailer))), sealer.finish())
  await out(pieces)
  return { ...sealed, blocks }
}

export async function sealProgram(
  task: SealProgramTask,
  tools: LaneTools,
): Promise<LaneResults['seal-program']> {
  const { connection, program, seal } = task
  const access = accessOf(connection)
  const options = { environment: connection.environment, signal: tools.signal }
  const client = await startClient(access, program, task.arguments, options)
  client.stdin.end()
  const sealer = new ArtifactSealer(seal, seal.compression)
  for (const piece of sealer.begin()) await tools.send(piece)
  const check = task.whole === 'archive' ? await ArchiveCheck.start(access, options) : new GlobalsCheck()
  try {
    for await (const bytes of readToEnd(client)) {
      await check.add(bytes)
      for (const piece of sealer.append(bytes)) await tools.send(piece)
    }
    await check.finish()
  } finally {
    check.stop()
  }
  const { pieces, sealed } = sealer.finish()
  for (const piece of pieces) await tools.send(piece)
  return { ...sealed, warnings: client.warnings() }
}

export async function digestRows(
  task: DigestTask,
  sessions: LaneSession,
  tools: LaneTools,
): Promise<readonly RowDigest[]> {
  const session = await sessions.for(task.connection, tools.signal)
  const digester = new RowDigester()
  if (task.snapshot === undefined) await session.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  else await beginInSnapshot(session, task.snapshot, task.connection.lockTimeoutMs)
  const digests: RowDigest[] = []
  let plainBytes = 0
  for (const statement of task.statements) {
    for await (const bytes of session.copyTo(statement)) {
      digestBytes(digester, bytes)
      plainBytes += bytes.length
      tools.progress(plainBytes)
    }
    digests.push(digester.finish())
  }
  await session.execute('COMMIT')
  return digests
}

function digestBytes(digester: RowDigester, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += digester.buffer.length) {
    const part = bytes.subarray(at, at + digester.buffer.length)
    digester.buffer.set(part)
    digester.scan(0, part.length)
  }
}

export async function loadRows(task: LoadRowsTask, sessions: LaneSession, tools: LaneTools): Promise<null> {
  const session = await sessions.for(task.connection, tools.signal)
  const reader = new RowBlockReader(openArtifact(tools.input, task.artifact, task))
  await session.execute('BEGIN')
  await reader.skipPreamble()
  let plainBytes = 0
  for (const { rows, bytes } of task.blocks) {
    await session.copyFrom(copyInStatement(rows), reader.block(rows, bytes))
    plainBytes += bytes
    tools.progress(plainBytes)
  }
  // Only now has every byte been decrypted and checked; an input that ended early never gets to this COMMIT.
  await reader.drain()
  await session.execute('COMMIT')
  return null
}
