/**
 * The inside of a `rows` artifact: a preamble up to the first empty line, then blocks, each a header line (composed
 * from the names alone), COPY text, a line `\.` and an empty line; after the blocks, in one artifact of a backup,
 * the sequences' values. Stock psql loads it as it stands; coffre reads it by the lengths in the inventory and
 * executes none of its text.
 */
import { CoffreError } from '../errors.ts'
import { copyInStatement, type TableRows } from '../postgres/row-statements.ts'

export function blockHeader(table: TableRows): Buffer {
  return Buffer.from(`${copyInStatement(table)};\n`)
}

export const blockFooter = Buffer.from('\\.\n\n')

/**
 * Refuses data that holds a line beginning with `\.`. A server never sends one as data (it writes a backslash twice);
 * a hostile one could, to end the COPY early in some psql and have the rest of its "rows" run as commands.
 */
export class EndMarkerGuard {
  /** The last two bytes seen; a newline stands for the beginning. */
  #tail = Buffer.from('\n')

  check(bytes: Buffer): void {
    const seam = Buffer.concat([this.#tail, bytes.subarray(0, 2)])
    if (seam.includes('\n\\.') || bytes.includes('\n\\.')) {
      throw new CoffreError(
        'ERR_FORMAT',
        'row data holds an end-of-data marker, which PostgreSQL never writes',
        {
          hint: 'the server that was backed up cannot be trusted; nothing was run',
        },
      )
    }
    this.#tail =
      bytes.length >= 2 ? Buffer.from(bytes.subarray(-2)) : Buffer.concat([this.#tail, bytes]).subarray(-2)
  }
}

/** Reads a `rows` artifact's plain bytes block by block, by length. */
export class RowBlockReader {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(plain: AsyncIterable<Buffer>) {
    this.#source = plain[Symbol.asyncIterator]()
  }

  /** Skips what stands before the first block. */
  async skipPreamble(): Promise<void> {
    for (;;) {
      const end = this.#rest.indexOf('\n\n')
      if (end >= 0) {
        this.#rest = this.#rest.subarray(end + 2)
        return
      }
      if (this.#rest.length > 65536) throw malformed('a preamble without end')
      if (!(await this.#more())) throw malformed('no preamble')
    }
  }

  /** One block's data, after its header was found to be exactly the expected one; checks what follows it too. */
  async *block(table: TableRows, bytes: number): AsyncGenerator<Buffer> {
    await this.#expect(blockHeader(table), `the header of ${JSON.stringify(table.name)}`)
    const guard = new EndMarkerGuard()
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw malformed('an early end')
      const part = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(part.length)
      left -= part.length
      guard.check(part)
      yield part
    }
    await this.#expect(blockFooter, 'the end of a block')
  }

  /** Checked like one that is loaded. */
  async skipBlock(table: TableRows, bytes: number): Promise<void> {
    const data = this.block(table, bytes)
    for (let part = await data.next(); part.done !== true; ) part = await data.next()
  }

  /** Reads on to the end, so that the decryption's own last checks are made. */
  async drain(): Promise<void> {
    while (await this.#more()) this.#rest = Buffer.alloc(0)
  }

  async #expect(expected: Buffer, what: string): Promise<void> {
    while (this.#rest.length < expected.length) if (!(await this.#more())) throw malformed('an early end')
    if (!this.#rest.subarray(0, expected.length).equals(expected))
      throw malformed(`something else than ${what}`)
    this.#rest = this.#rest.subarray(expected.length)
  }

  async #more(): Promise<boolean> {
    // The source takes its memory back when it is asked for more.
    const rest = Buffer.from(this.#rest)
    const { value, done } = await this.#source.next()
    if (done === true) return false
    this.#rest = rest.length === 0 ? value : Buffer.concat([rest, value])
    return true
  }
}

function malformed(found: string): CoffreError {
  return new CoffreError('ERR_FORMAT', `a rows artifact has ${found} where the inventory says otherwise`)
}
