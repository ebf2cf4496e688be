/**
 * The worker thread of a lane: takes one task at a time from its port, does it, answers. A failed task drops the
 * lane's session; the thread itself goes on.
 */
import { parentPort } from 'node:worker_threads'
import { asCoffreError, CoffreError } from '../errors.ts'
import type { FromLane, LaneResult, LaneTask, ToLane } from './lane-tasks.ts'
import { LaneSession } from './lane-session.ts'
import { digestRows, loadRows, sealProgram, sealRows, type LaneTools } from './lane-work.ts'
import { PieceReceiver, PieceSender } from './piece-channel.ts'

const port = parentPort
if (port === null) throw new CoffreError('ERR_INTERNAL', 'a lane is started as a worker thread only')
const sessions = new LaneSession()

interface Underway {
  readonly number: number
  readonly task: LaneTask
  readonly abort: AbortController
  readonly sender: PieceSender
  readonly receiver: PieceReceiver
}
const underway = new Map<number, Underway>()
/** Resolves when the lane's session is free: tasks use it one after the other. */
let free = Promise.resolve()

function post(message: FromLane, transfer: readonly ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

function work(task: LaneTask, tools: LaneTools): Promise<LaneResult> {
  switch (task.kind) {
    case 'seal-rows':
      return sealRows(task, sessions, tools)
    case 'seal-program':
      return sealProgram(task, sessions, tools)
    case 'digest':
      return digestRows(task, sessions, tools)
    case 'load-rows':
      return loadRows(task, sessions, tools)
  }
}

async function run({ number, task, abort, sender, receiver }: Underway): Promise<void> {
  const tools: LaneTools = {
    signal: abort.signal,
    send: (piece) => sender.send(piece),
    progress: (plainBytes) => post({ type: 'progress', number, plainBytes }),
    input: receiver,
  }
  try {
    abort.signal.throwIfAborted()
    post({ type: 'done', number, result: await work(task, tools) })
  } catch (thrown) {
    sessions.drop()
    // Whatever a task meets that is being ended, it is the ending that counts.
    const { code, message, hint } = asCoffreError(abort.signal.aborted ? abort.signal.reason : thrown)
    post({ type: 'failed', number, code, message, hint })
  }
  underway.delete(number)
}

function start(number: number, task: LaneTask): void {
  const one: Underway = {
    number,
    task,
    abort: new AbortController(),
    sender: new PieceSender((bytes) => post({ type: 'piece', number, bytes }, [bytes.buffer])),
    receiver: new PieceReceiver(() => post({ type: 'taken', number })),
  }
  underway.set(number, one)
  free = free.then(() => run(one))
}

function cancel(number: number): void {
  const one = underway.get(number)
  if (one === undefined) return
  const interrupted = new CoffreError('ERR_INTERRUPTED', 'interrupted')
  one.abort.abort(interrupted)
  one.sender.fail(interrupted)
  one.receiver.fail(interrupted)
  // Only the oldest uses the session; the others never get to it.
  if (underway.keys().next().value === number) sessions.drop()
}

port.on('message', (message: ToLane) => {
  switch (message.type) {
    case 'start':
      start(message.number, message.task)
      break
    case 'piece':
      underway.get(message.number)?.receiver.receive(message.bytes)
      break
    case 'end':
      underway.get(message.number)?.receiver.end()
      break
    case 'taken':
      underway.get(message.number)?.sender.taken()
      break
    case 'cancel':
      cancel(message.number)
      break
    case 'shutdown':
      free
        .then(() => sessions.close())
        .then(
          () => port.close(),
          () => port.close(),
        )
      break
  }
})
