/**
 * The lanes: as many worker threads as asked for, each doing one task at a time. A task's ciphertext comes out as a
 * stream to put into a store, or goes in as a stream from one; leaving that stream early cancels the task.
 */
import { Worker } from 'node:worker_threads'
import { CoffreError } from '../errors.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import type { FromLane, LaneAccess, LaneResult, LaneResults, LaneTask, ToLane } from './lane-tasks.ts'
import { PieceReceiver, PieceSender } from './piece-channel.ts'

export interface TaskOptions {
  /** Ciphertext for a task that reads. */
  readonly input?: AsyncIterable<Buffer>
  readonly onProgress?: (plainBytes: number) => void
}

export function laneAccess(access: ServerAccess): LaneAccess {
  return { prefix: access.prefix, parameters: access.parameters, password: access.password?.reveal() }
}

/** What the main thread keeps of a task until it has ended. */
interface Underway {
  readonly receiver: PieceReceiver
  readonly sender: PieceSender
  readonly resolve: (result: LaneResult) => void
  readonly reject: (error: unknown) => void
  readonly onProgress: ((plainBytes: number) => void) | undefined
}

class Lane {
  readonly #worker: Worker
  readonly #underway = new Map<number, Underway>()
  #tasks = 0
  #dead: CoffreError | undefined

  constructor() {
    this.#worker = new Worker(new URL('./lane-thread.ts', import.meta.url), { stdin: false })
    this.#worker.on('message', (message: FromLane) => this.#hear(message))
    this.#worker.on('error', (cause) =>
      this.#die(new CoffreError('ERR_INTERNAL', 'a lane failed', { cause })),
    )
    this.#worker.on('exit', () => this.#die(new CoffreError('ERR_INTERNAL', 'a lane ended unexpectedly')))
  }

  /** Each piece of the output is gone when the next is asked for. */
  run<K extends LaneTask['kind']>(
    task: Extract<LaneTask, { kind: K }>,
    { input, onProgress }: TaskOptions,
  ): { output: AsyncIterable<Buffer>; result: Promise<LaneResults[K]> } {
    this.#tasks += 1
    const number = this.#tasks
    const receiver = new PieceReceiver(() => this.#post({ type: 'taken', number }))
    const sender = new PieceSender((bytes) => this.#post({ type: 'piece', number, bytes }, [bytes.buffer]))
    const { promise, resolve, reject } = Promise.withResolvers<LaneResult>()
    promise.catch(() => undefined)
    this.#underway.set(number, { receiver, sender, resolve, reject, onProgress })
    if (this.#dead === undefined) this.#post({ type: 'start', number, task })
    else this.#fail(number, this.#dead)
    if (input !== undefined) this.#feed(number, input, sender)
    const cancel = (): void => this.#post({ type: 'cancel', number })
    async function* output(): AsyncGenerator<Buffer> {
      let complete = false
      try {
        yield* receiver
        await promise
        complete = true
      } finally {
        if (!complete) cancel()
      }
    }
    // The lane answers with the result of the kind it was asked for.
    return { output: output(), result: promise as Promise<LaneResults[K]> }
  }

  cancel(): void {
    for (const number of this.#underway.keys()) this.#post({ type: 'cancel', number })
  }

  /** Ends what is still under way, then the thread. */
  async shutdown(): Promise<void> {
    if (this.#dead !== undefined) return
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    this.cancel()
    this.#post({ type: 'shutdown' })
    const timer = setTimeout(() => void this.#worker.terminate(), 5000)
    await ended
    clearTimeout(timer)
  }

  #feed(number: number, input: AsyncIterable<Buffer>, sender: PieceSender): void {
    const feed = async (): Promise<void> => {
      for await (const bytes of input) await sender.send(bytes)
      this.#post({ type: 'end', number })
    }
    feed().catch((error: unknown) => {
      this.#fail(number, error)
      this.#post({ type: 'cancel', number })
    })
  }

  #hear(message: FromLane): void {
    const { number } = message
    const task = this.#underway.get(number)
    switch (message.type) {
      case 'piece':
        task?.receiver.receive(message.bytes)
        break
      case 'taken':
        task?.sender.taken()
        break
      case 'progress':
        task?.onProgress?.(message.plainBytes)
        break
      case 'done':
        task?.receiver.end()
        task?.resolve(message.result)
        this.#underway.delete(number)
        break
      case 'failed':
        this.#fail(number, new CoffreError(message.code, message.message, { hint: message.hint }))
        break
    }
  }

  #fail(number: number, error: unknown): void {
    const task = this.#underway.get(number)
    task?.reject(error)
    task?.receiver.fail(error)
    task?.sender.fail(error)
    this.#underway.delete(number)
  }

  #die(error: CoffreError): void {
    this.#dead = error
    for (const number of this.#underway.keys()) this.#fail(number, error)
  }

  #post(message: ToLane, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#dead === undefined) this.#worker.postMessage(message, transfer)
  }
}

export class Lanes implements AsyncDisposable {
  readonly #lanes: readonly Lane[]
  readonly #signal: AbortSignal
  readonly #cancel = (): void => {
    for (const lane of this.#lanes) lane.cancel()
  }

  constructor(count: number, signal: AbortSignal) {
    this.#lanes = Array.from({ length: count }, () => new Lane())
    this.#signal = signal
    signal.addEventListener('abort', this.#cancel)
  }

  get count(): number {
    return this.#lanes.length
  }

  /**
   * Works through the jobs in their order, each lane taking the next when it is free: when its task is done, though what came
   * out of it is still on its way into the store; a job further ahead it does not get. `job` gets a way to run one task on its
   * lane. The first failure stops the taking of new jobs, cancels those under way, and is what is thrown; `lost` is such a
   * failure that comes from elsewhere.
   */
  async each<J>(
    jobs: Iterable<J>,
    job: (run: Lane['run'], one: J) => Promise<void>,
    lost?: AbortSignal,
  ): Promise<void> {
    const queue = jobs[Symbol.iterator]()
    const failures: unknown[] = []
    const fail = (error: unknown): void => {
      if (failures.push(error) === 1) this.#cancel()
    }
    const lose = (): void => fail(lost?.reason)
    lost?.addEventListener('abort', lose)
    const work = async (lane: Lane): Promise<void> => {
      let before = Promise.resolve()
      for (let next = queue.next(); next.done !== true && failures.length === 0; next = queue.next()) {
        const free = Promise.withResolvers<void>()
        const run: Lane['run'] = (task, options) => {
          const running = lane.run(task, options)
          running.result.then(() => free.resolve(), free.resolve)
          return running
        }
        const ended = this.#do(() => job(run, next.value)).catch(fail)
        await Promise.race([free.promise, ended])
        await before
        before = ended
      }
      await before
    }
    await Promise.all(this.#lanes.map((lane) => work(lane)))
    lost?.removeEventListener('abort', lose)
    if (failures.length > 0) throw failures[0]
  }

  async #do(job: () => Promise<void>): Promise<void> {
    this.#signal.throwIfAborted()
    await job()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cancel)
    await Promise.all(this.#lanes.map((lane) => lane.shutdown()))
  }
}
