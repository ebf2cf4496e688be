/**
 * Where one zstd frame ends and the next begins (RFC 8878, 3.1.1), found from the lengths in the frames' own headers.
 * Node's decompressor stops at the end of a frame and takes whatever follows for the end of the stream, unless its output
 * buffer happens to be full just then (https://github.com/nodejs/node/issues/64741): so each frame gets one of its own.
 */
import { CoffreError } from '../errors.ts'

const magic = 0xfd2fb528
/** RFC 8878, 3.1.2: the last four bits are free. */
const skippableMagic = 0x184d2a5
const checksumBytes = 4

/** Something of a known length, which is read whole because it says what comes next; or passed over. */
type Part =
  | { readonly kind: 'magic' | 'descriptor' | 'block header' | 'skippable length'; readonly bytes: number }
  | { readonly kind: 'fields' | 'block' | 'last block' | 'checksum' | 'skipped'; readonly bytes: number }

const start: Part = { kind: 'magic', bytes: 4 }

class FrameWalker {
  #part: Part = start
  #left = start.bytes
  readonly #held = Buffer.alloc(4)
  #hasChecksum = false

  /** How many of these bytes belong to the frame that is under way; undefined where it goes on behind them. */
  findEnd(bytes: Buffer): number | undefined {
    for (let at = 0; at < bytes.length || this.#left === 0; ) {
      const taken = Math.min(this.#left, bytes.length - at)
      if (this.#part.bytes <= 4) bytes.copy(this.#held, this.#part.bytes - this.#left, at, at + taken)
      at += taken
      this.#left -= taken
      if (this.#left > 0) return undefined
      const next = this.#after(this.#part)
      this.#part = next ?? start
      this.#left = this.#part.bytes
      if (next === undefined) return at
    }
    return undefined
  }

  /** undefined: the frame ends here. */
  #after({ kind }: Part): Part | undefined {
    switch (kind) {
      case 'magic':
        return afterMagic(this.#held.readUInt32LE())
      case 'skippable length':
        return { kind: 'skipped', bytes: this.#held.readUInt32LE() }
      case 'descriptor':
        this.#hasChecksum = ((this.#held[0] ?? 0) & 4) !== 0
        return { kind: 'fields', bytes: fieldBytes(this.#held[0] ?? 0) }
      case 'fields':
      case 'block':
        return { kind: 'block header', bytes: 3 }
      case 'block header':
        return blockOf(this.#held.readUIntLE(0, 3))
      case 'last block':
        return this.#hasChecksum ? { kind: 'checksum', bytes: checksumBytes } : undefined
      case 'checksum':
      case 'skipped':
        return undefined
    }
  }
}

function damaged(): CoffreError {
  return new CoffreError('ERR_FORMAT', 'the zstd stream is damaged or ends early')
}

function afterMagic(number: number): Part {
  if (number === magic) return { kind: 'descriptor', bytes: 1 }
  if (number >>> 4 === skippableMagic) return { kind: 'skippable length', bytes: 4 }
  throw damaged()
}

/** RFC 8878, 3.1.1.1: window descriptor, dictionary id and content size, of the lengths that the descriptor says. */
function fieldBytes(descriptor: number): number {
  const singleSegment = (descriptor >> 5) & 1
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0
  const contentSize = [singleSegment, 2, 4, 8][descriptor >> 6] ?? 0
  return 1 - singleSegment + dictionaryId + contentSize
}

/** RFC 8878, 3.1.1.2: raw, one repeated byte, compressed, reserved. */
function blockOf(header: number): Part {
  const type = (header >> 1) & 3
  if (type === 3) throw damaged()
  return { kind: (header & 1) === 1 ? 'last block' : 'block', bytes: type === 1 ? 1 : header >> 3 }
}

/**
 * The frames of a zstd stream, each as its pieces, to be read to its end before the next is asked for. Throws ERR_FORMAT
 * where there is none, where the last one is not complete, and for what is no frame.
 */
export async function* zstdFrames(source: AsyncIterable<Buffer>): AsyncGenerator<AsyncIterable<Buffer>> {
  const pieces = source[Symbol.asyncIterator]()
  const walker = new FrameWalker()
  let piece: Buffer | undefined
  let frames = 0

  /** Whether there is a byte to read. */
  const more = async (): Promise<boolean> => {
    while (piece === undefined || piece.length === 0) {
      const next = await pieces.next()
      if (next.done === true) return false
      piece = next.value
    }
    return true
  }

  async function* frame(): AsyncGenerator<Buffer> {
    for (;;) {
      if (!(await more()) || piece === undefined) throw damaged()
      const end = walker.findEnd(piece)
      const own = piece.subarray(0, end)
      piece = end === undefined ? undefined : piece.subarray(end)
      yield own
      if (end !== undefined) return
    }
  }

  try {
    while (await more()) {
      frames += 1
      yield frame()
    }
    if (frames === 0) throw damaged()
  } finally {
    await pieces.return?.()
  }
}
