/**
 * Cuts a stream into the parts of a multipart upload: how large each part is, and the bytes gathered to that size.
 * Parts grow with the object, as their number is limited and its size is not known beforehand.
 */
import { CoffreError } from '../errors.ts'
import type { ProviderProfile } from './provider-profiles.ts'

const mebibyte = 1024 * 1024
const largestObjectBytes = 5 * 1024 * 1024 * mebibyte
const largestPartBytes = 5 * 1024 * mebibyte
const firstRoomBytes = 64 * 1024

/**
 * The size of the n-th part, from 1. Twelve and a half doublings would fill all parts; at two and a half times the
 * mean they stop, which is enough for 5 TiB in 10,000 parts from a first size of 5 MiB on. Parts stay small for as
 * long as they can, since parts are memory: up to 100 GiB none is larger than 128 MiB when the first has 8.
 */
export function partSize(
  number: number,
  firstBytes: number,
  limits: Pick<ProviderProfile, 'maxParts' | 'uniformParts'>,
): number {
  if (limits.uniformParts) return firstBytes
  const doublings = Math.floor((number - 1) / (limits.maxParts * 0.08))
  const ceiling = Math.min(largestPartBytes, (2.5 * largestObjectBytes) / limits.maxParts)
  return Math.max(firstBytes, Math.min(firstBytes * 2 ** doublings, Math.floor(ceiling)))
}

/**
 * The stream's bytes in parts of exactly `sizeOf(number)` bytes, the last one possibly shorter; one empty part for
 * an empty stream. Holds one part at a time and pulls nothing while the caller has it.
 */
export async function* cutIntoParts(
  source: AsyncIterable<Buffer>,
  sizeOf: (number: number) => number,
): AsyncGenerator<Buffer> {
  let number = 1
  let part = new PartBuffer(sizeOf(number), firstRoomBytes)
  for await (const chunk of source) {
    for (let taken = 0; taken < chunk.length; ) {
      taken += part.take(chunk, taken)
      if (part.isFull) {
        yield part.bytes
        number += 1
        part = new PartBuffer(sizeOf(number), sizeOf(number))
      }
    }
  }
  if (number === 1 || part.bytes.length > 0) yield part.bytes
}

/** Throws ERR_STORE when there are more parts than the provider takes. */
export function assertPartNumber(number: number, key: string, profile: ProviderProfile): void {
  if (number <= profile.maxParts) return
  throw new CoffreError('ERR_STORE', `${key} is too large: ${profile.name} takes ${profile.maxParts} parts`, {
    hint: 'only large objects (lo) make one artifact so large: keep this source in a folder, or at a provider without that limit',
  })
}

/** Grows with what it holds, from the room it begins with: a small object need not cost a whole part of memory. */
class PartBuffer {
  readonly #limitBytes: number
  #room: Buffer
  #length = 0

  constructor(limitBytes: number, roomBytes: number) {
    this.#limitBytes = limitBytes
    this.#room = Buffer.allocUnsafeSlow(Math.min(limitBytes, roomBytes))
  }

  get isFull(): boolean {
    return this.#length === this.#limitBytes
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.#length)
  }

  /** Copies what fits from a place in the chunk on; returns how much that was. */
  take(chunk: Buffer, from: number): number {
    const wanted = Math.min(chunk.length - from, this.#limitBytes - this.#length)
    if (this.#length + wanted > this.#room.length) {
      const larger = Math.min(this.#limitBytes, Math.max(this.#room.length * 2, this.#length + wanted))
      const room = Buffer.allocUnsafeSlow(larger)
      this.#room.copy(room, 0, 0, this.#length)
      this.#room = room
    }
    chunk.copy(this.#room, this.#length, from, from + wanted)
    this.#length += wanted
    return wanted
  }
}
