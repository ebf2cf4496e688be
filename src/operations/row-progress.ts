/**
 * How far the rows are, in bytes of the source's disk: tasks that ended count whole, those under way by the plain bytes
 * they gave so far, at the rate of plain to disk bytes that was seen until now.
 */
import type { Emit } from '../observe/events.ts'

interface Running {
  readonly sizeBytes: number
  plainBytes: number
}

export class RowProgress {
  readonly #emit: Emit
  readonly #totalBytes: number
  readonly #running = new Set<Running>()
  #endedSizeBytes = 0
  #endedPlainBytes = 0

  constructor(emit: Emit, totalBytes: number) {
    this.#emit = emit
    this.#totalBytes = totalBytes
  }

  begin(sizeBytes: number): { read: (plainBytes: number) => void; end: (plainBytes: number) => void } {
    const running: Running = { sizeBytes, plainBytes: 0 }
    this.#running.add(running)
    return {
      read: (plainBytes) => {
        running.plainBytes = plainBytes
        this.#tell()
      },
      end: (plainBytes) => {
        this.#running.delete(running)
        this.#endedSizeBytes += sizeBytes
        this.#endedPlainBytes += plainBytes
        this.#tell()
      },
    }
  }

  #tell(): void {
    const plainPerByte = this.#endedSizeBytes > 0 ? this.#endedPlainBytes / this.#endedSizeBytes : 1
    let doneBytes = this.#endedSizeBytes
    for (const { sizeBytes, plainBytes } of this.#running)
      doneBytes += Math.min(sizeBytes, plainBytes / Math.max(plainPerByte, 0.01))
    this.#emit({
      type: 'progress',
      stage: 'rows',
      doneBytes: Math.round(doneBytes),
      totalBytes: this.#totalBytes,
    })
  }
}
