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

class Lane {
  readonly #worker: Worker
  #receiver: PieceReceiver | undefined
  #sender: PieceSender | undefined
  #settle: { resolve: (result: LaneResult) => void; reject: (error: unknown) => void } | undefined
  #onProgress: ((plainBytes: number) => void) | undefined
  #dead: CoffreError | undefined

  constructor() {
    this.#worker = new Worker(new URL('./lane-thread.ts', import.meta.url), { stdin: false })
    this.#worker.on('message', (message: FromLane) => this.#hear(message))
    this.#worker.on('error', (cause) =>
      this.#die(new CoffreError('ERR_INTERNAL', 'a lane failed', { cause })),
    )
    this.#worker.on('exit', () => this.#die(new CoffreError('ERR_INTERNAL', 'a lane ended unexpectedly')))
  }

  run<K extends LaneTask['kind']>(
    task: Extract<LaneTask, { kind: K }>,
    options: TaskOptions,
  ): { output: AsyncIterable<Buffer>; result: Promise<LaneResults[K]> } {
    const receiver = new PieceReceiver(() => this.#post({ type: 'taken' }))
    const sender = new PieceSender((bytes) => this.#post({ type: 'piece', bytes }, [bytes.buffer]))
    this.#receiver = receiver
    this.#sender = sender
    this.#onProgress = options.onProgress
    const settled = new Promise<LaneResult>((resolve, reject) => (this.#settle = { resolve, reject }))
    if (this.#dead === undefined) this.#post({ type: 'start', task })
    else this.#die(this.#dead)
    if (options.input !== undefined) this.#feed(options.input, sender)
    settled.catch(() => undefined)
    const cancel = (): void => this.cancel()
    async function* output(): AsyncGenerator<Buffer> {
      let complete = false
      try {
        yield* receiver
        await settled
        complete = true
      } finally {
        if (!complete) cancel()
      }
    }
    // The lane answers with the result of the kind it was asked for.
    return { output: output(), result: settled as Promise<LaneResults[K]> }
  }

  cancel(): void {
    this.#post({ type: 'cancel' })
  }

  async shutdown(): Promise<void> {
    if (this.#dead !== undefined) return
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    this.#post({ type: 'shutdown' })
    const timer = setTimeout(() => void this.#worker.terminate(), 5000)
    await ended
    clearTimeout(timer)
  }

  #feed(input: AsyncIterable<Buffer>, sender: PieceSender): void {
    const feed = async (): Promise<void> => {
      for await (const bytes of input) await sender.send(bytes)
      this.#post({ type: 'end' })
    }
    feed().catch((error: unknown) => {
      this.#fail(error)
      this.cancel()
    })
  }

  #hear(message: FromLane): void {
    switch (message.type) {
      case 'piece':
        this.#receiver?.receive(message.bytes)
        break
      case 'taken':
        this.#sender?.taken()
        break
      case 'progress':
        this.#onProgress?.(message.plainBytes)
        break
      case 'done':
        this.#receiver?.end()
        this.#settle?.resolve(message.result)
        break
      case 'failed':
        this.#fail(new CoffreError(message.code, message.message, { hint: message.hint }))
        break
    }
  }

  #fail(error: unknown): void {
    this.#settle?.reject(error)
    this.#receiver?.fail(error)
    this.#sender?.fail(error)
  }

  #die(error: CoffreError): void {
    this.#dead = error
    this.#fail(error)
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
   * Works through the jobs in their order, each lane taking the next when it is free. `job` gets a way to run one task on
   * its lane. The first failure stops the taking of new jobs, cancels those under way, and is what is thrown.
   */
  async each<J>(jobs: Iterable<J>, job: (run: Lane['run'], one: J) => Promise<void>): Promise<void> {
    const queue = jobs[Symbol.iterator]()
    let failure: { readonly error: unknown } | undefined
    const work = async (lane: Lane): Promise<void> => {
      for (let next = queue.next(); next.done !== true && failure === undefined; next = queue.next()) {
        try {
          this.#signal.throwIfAborted()
          await job((task, options) => lane.run(task, options), next.value)
        } catch (error) {
          if (failure === undefined) {
            failure = { error }
            this.#cancel()
          }
        }
      }
    }
    await Promise.all(this.#lanes.map((lane) => work(lane)))
    if (failure !== undefined) throw failure.error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#cancel)
    await Promise.all(this.#lanes.map((lane) => lane.shutdown()))
  }
}
