/**
 * Compression in frames: each about 1 MiB of plain bytes, compressed at once and simply put one after another, which
 * both `zstd -d` and `gzip -d` read as one stream (RFC 8878, 3; RFC 1952, 2.2).
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  constants,
  createGunzip,
  createZstdDecompress,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
  type Gunzip,
  type ZstdDecompress,
} from 'node:zlib'
import { asCoffreError, CoffreError } from '../errors.ts'
import { zstdFrames } from './zstd-frames.ts'

export interface Compression {
  readonly algorithm: 'zstd' | 'gzip'
  readonly level: number
}

export const frameBytes = 1024 * 1024

/** The part of an artifact's name that says how it is compressed. */
export function compressionSuffix({ algorithm }: Pick<Compression, 'algorithm'>): 'zst' | 'gz' {
  return algorithm === 'zstd' ? 'zst' : 'gz'
}

/** Of the bench: zstd 3 takes a fifth more processor time for one or two per cent less, and there are two cores for all. */
export function resolveLevel(algorithm: Compression['algorithm'], level: 'auto' | number): Compression {
  return { algorithm, level: level === 'auto' ? (algorithm === 'zstd' ? 1 : 6) : level }
}

export function compressFrame(plain: Uint8Array, { algorithm, level }: Compression): Buffer {
  if (algorithm === 'gzip') return gzipSync(plain, { level })
  return zstdCompressSync(plain, {
    chunkSize: mostBytes(plain.length),
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  })
}

/** Room for whatever comes out (ZSTD_compressBound): with less, zstd first copies what goes in. */
function mostBytes(plainBytes: number): number {
  return plainBytes + (plainBytes >> 8) + 1024
}

/** Throws ERR_FORMAT for bytes that do not decompress to their end. The window is bounded to 128 MiB. */
export async function* decompress(
  source: AsyncIterable<Buffer>,
  algorithm: Compression['algorithm'],
): AsyncGenerator<Buffer> {
  if (algorithm === 'gzip') yield* decompressBy(createGunzip(), source, algorithm)
  else {
    const memory = Buffer.allocUnsafeSlow(usualFrameBytes)
    for await (const frame of zstdFrames(source)) yield* decompressFrame(frame, memory)
  }
}

/** Coffre's own frames are smaller, before and after. */
const usualFrameBytes = 2 * frameBytes
const zstdParameters = { [constants.ZSTD_d_windowLogMax]: 27 }

/** At once where the frame is as small as coffre makes them, which takes a third of the time. */
async function* decompressFrame(frame: AsyncIterable<Buffer>, memory: Buffer): AsyncGenerator<Buffer> {
  const pieces = frame[Symbol.asyncIterator]()
  let held = 0
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
    const copied = next.value.copy(memory, held)
    held += copied
    if (copied === next.value.length) continue
    yield* decompressLargeFrame(memory.subarray(0, held), next.value.subarray(copied), pieces)
    return
  }
  const compressed = memory.subarray(0, held)
  const plain = decompressAtOnce(compressed)
  if (plain === undefined) yield* decompressLargeFrame(compressed, Buffer.alloc(0), pieces)
  else if (plain.length > 0) yield plain
}

/** Undefined where that would be more than is usual. */
function decompressAtOnce(frame: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(frame, {
      chunkSize: frameBytes + 1,
      maxOutputLength: usualFrameBytes,
      params: zstdParameters,
    })
  } catch (cause) {
    if (cause instanceof RangeError) return undefined
    throw damaged('zstd', cause)
  }
}

async function* decompressLargeFrame(
  held: Buffer,
  piece: Buffer,
  more: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer> {
  async function* whole(): AsyncGenerator<Buffer> {
    yield held
    yield piece
    for (let next = await more.next(); next.done !== true; next = await more.next()) yield next.value
  }
  yield* decompressBy(createZstdDecompress({ params: zstdParameters }), whole(), 'zstd')
}

function damaged(algorithm: Compression['algorithm'], cause: unknown): CoffreError {
  return new CoffreError('ERR_FORMAT', `the ${algorithm} stream is damaged or ends early`, { cause })
}

async function* decompressBy(
  stream: Gunzip | ZstdDecompress,
  source: AsyncIterable<Buffer>,
  algorithm: Compression['algorithm'],
): AsyncGenerator<Buffer> {
  let sourceFailure: CoffreError | undefined
  const input = Readable.from(guarded(source, (error) => (sourceFailure = asCoffreError(error))))
  const fed = pipeline(input, stream)
  fed.catch(() => undefined)
  try {
    for await (const bytes of stream as AsyncIterable<Buffer>) yield bytes
    await fed
  } catch (cause) {
    if (sourceFailure !== undefined) throw sourceFailure
    throw damaged(algorithm, cause)
  } finally {
    stream.destroy()
    input.destroy()
  }
}

/**
 * Keeps the source's own errors apart from the decompressor's, which come in at the `yield` when the stream is
 * destroyed; so nothing is caught there, and the source is only closed.
 */
async function* guarded(
  source: AsyncIterable<Buffer>,
  failed: (error: unknown) => void,
): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]()
  const next = async (): Promise<IteratorResult<Buffer, unknown>> => {
    try {
      return await iterator.next()
    } catch (error) {
      failed(error)
      throw error
    }
  }
  try {
    // A copy: it stands in the stream's queue when the next is asked for.
    for (let one = await next(); one.done !== true; one = await next()) yield Buffer.from(one.value)
  } finally {
    await iterator.return?.()
  }
}
