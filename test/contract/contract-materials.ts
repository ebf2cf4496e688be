/** What the contract suite is made of: a store to try, bytes to give it, and what to compare. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { CoffreError } from '../../src/errors.ts'
import type { ObjectStore } from '../../src/storage/object-store.ts'

export interface StoreUnderTest {
  /** Empty, and nobody else's. Bodies over 5 MiB go in several parts where the store has such a thing. */
  readonly store: ObjectStore
  /** What unfinished writes have left behind: partial files, open multipart uploads. */
  leftovers(): Promise<readonly string[]>
  close(): Promise<void>
}

export const mebibyte = 1024 * 1024

/** Pseudo-random bytes, the same for the same seed. */
export function bytesOf(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes)
  let state = seed
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

export async function* chunked(
  bytes: Buffer,
  sizes: readonly number[] = [bytes.length],
): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? bytes.length)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

export async function keysOf(store: ObjectStore, folder = ''): Promise<string[]> {
  const keys: string[] = []
  for await (const object of store.list(folder)) keys.push(object.key)
  return keys
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function coded(code: string, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CoffreError, `not a CoffreError: ${String(error)}`)
    assert.equal(error.code, code, `${error.code}: ${error.message}`)
    assert.match(error.message, pattern)
    return true
  }
}

/** The first half of the bytes, then whatever `then` does. */
export async function* halfThen(bytes: Buffer, then: () => Promise<void>): AsyncGenerator<Buffer> {
  yield* chunked(bytes.subarray(0, bytes.length / 2), [100_003])
  await then()
  yield* chunked(bytes.subarray(bytes.length / 2), [100_003])
}
