/**
 * RowDigest, version 1: an order-insensitive fingerprint of a table's rows, part of the format and kept for ever.
 *
 * A row is a line of PostgreSQL's COPY text as it was sent, without the newline that ends it (newlines inside
 * values are escaped there). Of every row XXH64 is taken twice, with seed 0 and with seed 0x636F66667265 ("coffre"
 * in ASCII); `low` is the sum of the former, `high` of the latter, both mod 2^64. The digest is written as 32
 * lower-case hex digits: high, then low, 16 digits each.
 *
 * Promises: rows in another order, cut anywhere into chunks, or added up slice by slice give the same digest; a row
 * lost, doubled or altered gives another. It is a sum and not an XOR, so that a doubled row shows. It detects
 * accidents and does not resist an adversary who chooses rows: the signature over the bytes is there for those.
 * Memory is bounded by the buffer, whatever a row's width.
 *
 * Leaves to others: the one fixed order of columns without which a restored table's rows are other bytes, and
 * everything around the rows (the COPY statement, the end marker). The loop itself is row-digest.wat.
 */
import { CoffreError } from '../errors.ts'
import { rowDigestWasm } from './row-digest-wasm.ts'

export interface RowDigest {
  readonly rows: number
  /** 32 lower-case hex digits, see `rowDigestPattern`. */
  readonly digest: string
}

/** What the text of every digest matches. */
export const rowDigestPattern = /^[0-9a-f]{32}$/

/** The digest of no rows. */
export const emptyRowDigest: RowDigest = { rows: 0, digest: '0'.repeat(32) }

/** What row-digest.wat exports. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  readonly scan: (address: number, lengthBytes: number) => void
  readonly rows: () => bigint
  readonly low: () => bigint
  readonly high: () => bigint
  readonly pending: () => number
  readonly reset: () => void
}

/** The part of the global that is used here: its types come with a browser's library only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: Exports }
}

const pageBytes = 65_536
/** Where the caller's memory begins; the module keeps its state below. */
const bufferAddress = pageBytes
/** How far the newline search may read behind the buffer. */
const overreadBytes = 64
const maxCapacityBytes = 2 ** 30

let compiled: object | undefined

/** One module per thread, compiled when it is first needed; every digester has its own instance and memory. */
function instantiate(): Exports {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(rowDigestWasm), (byte) => byte.charCodeAt(0)))
  return new WebAssembly.Instance(compiled).exports
}

/** Digests one stream of rows after another. Write a chunk into `buffer`, then `scan` it; at the end, `finish`. */
export class RowDigester {
  /** The memory that `scan` reads, `capacityBytes` long. It stays the same for the digester's whole life. */
  readonly buffer: Uint8Array
  readonly #wasm: Exports

  /** `capacityBytes`: the most that one chunk may hold, up to 1 GiB; 1 MiB + 128 KiB if not said. */
  constructor({ capacityBytes = 1_048_576 + 131_072 }: { readonly capacityBytes?: number } = {}) {
    if (!Number.isInteger(capacityBytes) || capacityBytes < 1 || capacityBytes > maxCapacityBytes) {
      throw new CoffreError('ERR_INTERNAL', `capacity of a row digester out of range: ${capacityBytes} bytes`)
    }
    this.#wasm = instantiate()
    const { memory } = this.#wasm
    const missingBytes = bufferAddress + capacityBytes + overreadBytes - memory.buffer.byteLength
    if (missingBytes > 0) memory.grow(Math.ceil(missingBytes / pageBytes))
    this.buffer = new Uint8Array(memory.buffer, bufferAddress, capacityBytes)
  }

  /**
   * Takes the `length` bytes of `buffer` from `offset` as the stream's next ones. Rows may begin and end in
   * different chunks. The bytes are only read, and are not needed any more when this returns.
   */
  scan(offset: number, length: number): void {
    const whole = Number.isInteger(offset) && Number.isInteger(length)
    if (!whole || offset < 0 || length < 0 || offset + length > this.buffer.length) {
      throw new CoffreError(
        'ERR_INTERNAL',
        `chunk outside the row digester's buffer: ${length} bytes at ${offset}`,
      )
    }
    this.#wasm.scan(bufferAddress + offset, length)
  }

  /**
   * The digest of all rows since the last `finish`, or since the beginning; then starts anew.
   * Throws ERR_FORMAT, and changes nothing, when the stream stopped inside a row: COPY ends with a newline.
   */
  finish(): RowDigest {
    const rows = Number(this.#wasm.rows())
    if (this.#wasm.pending() !== 0) {
      throw new CoffreError('ERR_FORMAT', `stream of rows stops inside row ${rows + 1}`, {
        hint: 'the stream was cut short: look for what ended the program that sent it',
      })
    }
    const digest = hex(this.#wasm.high()) + hex(this.#wasm.low())
    this.#wasm.reset()
    return { rows, digest }
  }
}

/** The digest of the rows of both, as slices of one table add up. Throws ERR_FORMAT for a malformed digest. */
export function addRowDigests(a: RowDigest, b: RowDigest): RowDigest {
  const [highA, lowA] = halves(a)
  const [highB, lowB] = halves(b)
  return { rows: a.rows + b.rows, digest: hex(highA + highB) + hex(lowA + lowB) }
}

function halves({ digest }: RowDigest): readonly [high: bigint, low: bigint] {
  if (!rowDigestPattern.test(digest)) {
    throw new CoffreError('ERR_FORMAT', `malformed row digest: ${JSON.stringify(digest)}`)
  }
  return [BigInt(`0x${digest.slice(0, 16)}`), BigInt(`0x${digest.slice(16)}`)]
}

/** A sum mod 2^64 as 16 hex digits. */
function hex(sum: bigint): string {
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
}
