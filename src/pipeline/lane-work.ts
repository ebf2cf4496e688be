/**
 * What a lane does, apart from being a thread: each kind of task as one function over a session, a way to send
 * ciphertext out and a stream of ciphertext in. Sessions are kept from task to task; every task is one transaction of
 * its own, so that its locks go when it ends.
 */
import { giveBack } from '../model/given-back.ts'
import { RowDigester, type RowDigest } from '../model/row-digest.ts'
import { readToEnd, startClient } from '../postgres/client-tools.ts'
import { copyInStatement } from '../postgres/row-statements.ts'
import { beginInSnapshot, lockWithoutWaiting } from '../postgres/source-snapshot.ts'
import type { DigestTask, LaneResults, LoadRowsTask, SealProgramTask, SealRowsTask } from './lane-tasks.ts'
import { accessOf, type LaneSession } from './lane-session.ts'
import { openArtifact } from './open.ts'
import { ArchiveCheck, GlobalsCheck } from './whole-output.ts'
import { RowBlockReader } from './row-blocks.ts'
import { ArtifactSealer } from './seal.ts'
import { sealBlocks } from './seal-rows.ts'

/** What the thread lends a task. */
export interface LaneTools {
  readonly signal: AbortSignal
  readonly send: (piece: Buffer) => Promise<void>
  readonly progress: (plainBytes: number) => void
  readonly input: AsyncIterable<Buffer>
}

/** Every lock is asked for first, and never waited for: nothing of a task that cannot have one was sent. */
export async function sealRows(
  task: SealRowsTask,
  sessions: LaneSession,
  tools: LaneTools,
): Promise<LaneResults['seal-rows']> {
  const session = await sessions.for(task.connection, tools.signal)
  await beginInSnapshot(session, task.snapshot, task.connection.lockTimeoutMs)
  await lockWithoutWaiting(
    session,
    task.blocks.map(({ rows }) => rows),
  )
  const sealing = sealBlocks(session, task, tools.progress)
  for (;;) {
    const { value, done } = await sealing.next()
    if (done === true) {
      await session.execute('COMMIT')
      return value
    }
    await tools.send(value)
  }
}

/** The lane's session ends first: a lane never has more than one connection. */
export async function sealProgram(
  task: SealProgramTask,
  sessions: LaneSession,
  tools: LaneTools,
): Promise<LaneResults['seal-program']> {
  await sessions.close()
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

/** Each piece is gone when the next is asked for. */
async function* freed(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece
    giveBack(piece)
  }
}

export async function loadRows(task: LoadRowsTask, sessions: LaneSession, tools: LaneTools): Promise<null> {
  const session = await sessions.for(task.connection, tools.signal)
  const reader = new RowBlockReader(freed(openArtifact(tools.input, task.artifact, task)))
  await session.execute('BEGIN')
  await reader.skipPreamble()
  let plainBytes = 0
  for (const { rows, bytes, into } of task.blocks) {
    if (into === undefined) await reader.skipBlock(rows, bytes)
    else await session.copyFrom(copyInStatement(into), reader.block(rows, bytes))
    plainBytes += bytes
    tools.progress(plainBytes)
  }
  // Only now has every byte been decrypted and checked; an input that ended early never gets to this COMMIT.
  await reader.drain()
  await session.execute('COMMIT')
  return null
}
