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
    for await (const frame of zstdFrames(source)) {
      const stream = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 27 } })
      yield* decompressBy(stream, frame, algorithm)
    }
  }
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
    throw new CoffreError('ERR_FORMAT', `the ${algorithm} stream is damaged or ends early`, { cause })
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
    for (let one = await next(); one.done !== true; one = await next()) yield one.value
  } finally {
    await iterator.return?.()
  }
}
