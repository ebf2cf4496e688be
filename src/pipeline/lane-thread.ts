/**
 * The worker thread of a lane: takes one task at a time from its port, does it, answers. A failed task drops the
 * lane's session; the thread itself goes on.
 */
import { parentPort } from 'node:worker_threads'
import { asCoffreError, CoffreError } from '../errors.ts'
import type { FromLane, LaneResult, LaneTask, ToLane } from './lane-tasks.ts'
import { digestRows, LaneSession, loadRows, sealProgram, sealRows, type LaneTools } from './lane-work.ts'
import { PieceReceiver, PieceSender } from './piece-channel.ts'

const port = parentPort
if (port === null) throw new CoffreError('ERR_INTERNAL', 'a lane is started as a worker thread only')
const sessions = new LaneSession()

interface Running {
  readonly abort: AbortController
  readonly sender: PieceSender
  readonly receiver: PieceReceiver
}
let running: Running | undefined

function post(message: FromLane, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

function work(task: LaneTask, tools: LaneTools): Promise<LaneResult> {
  switch (task.kind) {
    case 'seal-rows':
      return sealRows(task, sessions, tools)
    case 'seal-program':
      return sealProgram(task, tools)
    case 'digest':
      return digestRows(task, sessions, tools)
    case 'load-rows':
      return loadRows(task, sessions, tools)
  }
}

async function run(task: LaneTask, { abort, sender, receiver }: Running): Promise<void> {
  const tools: LaneTools = {
    signal: abort.signal,
    send: (piece) => sender.send(piece),
    progress: (plainBytes) => post({ type: 'progress', plainBytes }),
    input: receiver,
  }
  try {
    post({ type: 'done', result: await work(task, tools) })
  } catch (thrown) {
    sessions.drop()
    const { code, message, hint } = asCoffreError(thrown)
    post({ type: 'failed', code, message, hint })
  }
}

function start(task: LaneTask): void {
  const current: Running = {
    abort: new AbortController(),
    sender: new PieceSender((bytes) => post({ type: 'piece', bytes }, [bytes.buffer])),
    receiver: new PieceReceiver(() => post({ type: 'taken' })),
  }
  running = current
  void run(task, current)
}

function cancel(): void {
  const interrupted = new CoffreError('ERR_INTERRUPTED', 'interrupted')
  running?.abort.abort(interrupted)
  running?.sender.fail(interrupted)
  running?.receiver.fail(interrupted)
  sessions.drop()
}

port.on('message', (message: ToLane) => {
  switch (message.type) {
    case 'start':
      start(message.task)
      break
    case 'piece':
      running?.receiver.receive(message.bytes)
      break
    case 'end':
      running?.receiver.end()
      break
    case 'taken':
      running?.sender.taken()
      break
    case 'cancel':
      cancel()
      break
    case 'shutdown':
      sessions.close().then(
        () => port.close(),
        () => port.close(),
      )
      break
  }
})
