/**
 * open: check → decrypt → decompress. No ciphertext is decrypted before the 8 MiB around it matched the signed
 * manifest, so no decrypted byte reaches anybody unless it was what the host signed. (The MDC inside authenticates
 * nothing by itself: anyone with the public key can make a valid message.)
 */
import { createHash } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { giveBack } from '../model/given-back.ts'
import { chunkBytes, type Artifact } from '../model/manifest.ts'
import { MessageOpener } from '../openpgp/message.ts'
import { decompress, type Compression } from './compression.ts'

/** What opening one artifact takes. */
export interface OpenKey {
  readonly sessionKey: Buffer
  readonly algorithm: Compression['algorithm']
  /** What the whole backup holds, as the manifest says: no artifact can be larger, whatever it decompresses to. */
  readonly plainLimitBytes: number
}

/**
 * The artifact's plain bytes. Throws ERR_DIGEST where the bytes are not those the manifest names, ERR_FORMAT where they
 * do not decompress, or to more than they may: a few kilobytes could otherwise fill a disk or the memory.
 */
export function openArtifact(
  stored: AsyncIterable<Buffer>,
  artifact: Artifact,
  { sessionKey, algorithm, plainLimitBytes }: OpenKey,
): AsyncGenerator<Buffer> {
  const compressed = decrypt(verifiedChunks(stored, artifact), artifact.envelope.bytes, sessionKey)
  return atMost(decompress(compressed, algorithm), plainLimitBytes, artifact.name)
}

async function* atMost(
  plain: AsyncIterable<Buffer>,
  limitBytes: number,
  name: string,
): AsyncGenerator<Buffer> {
  let sizeBytes = 0
  for await (const bytes of plain) {
    sizeBytes += bytes.length
    if (sizeBytes > limitBytes) {
      throw new CoffreError(
        'ERR_FORMAT',
        `${name} decompresses to more than the ${limitBytes} bytes that the whole backup is said to hold`,
        { hint: 'whoever signed this backup meant to fill your disk or memory: do not restore it' },
      )
    }
    yield bytes
  }
}

/** The stored bytes, passed on chunk by chunk in the same memory, each only once its SHA-256 is the manifest's. */
export async function* verifiedChunks(
  stored: AsyncIterable<Buffer>,
  artifact: Artifact,
): AsyncGenerator<Buffer> {
  const memory = Buffer.allocUnsafeSlow(Math.min(chunkBytes, artifact.bytes))
  let held = 0
  let index = 0
  const check = (): Buffer => {
    const chunk = memory.subarray(0, held)
    if (createHash('sha256').update(chunk).digest('hex') !== artifact.chunks[index]) {
      throw differs(artifact, index)
    }
    held = 0
    index += 1
    return chunk
  }
  for await (const bytes of stored) {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(memory, held, at)
      if (taken === 0) throw differs(artifact, index)
      held += taken
      at += taken
      if (held === chunkBytes) yield check()
    }
  }
  if (held > 0) yield check()
  if (index !== artifact.chunks.length)
    throw new CoffreError('ERR_DIGEST', `${artifact.name} is shorter than what was signed`)
}

function differs({ name }: Artifact, chunk: number): CoffreError {
  return new CoffreError(
    'ERR_DIGEST',
    `${name} differs from what was signed, near byte ${chunk * chunkBytes}`,
  )
}

/** Also gives the first chunk's envelope away: its bytes are skipped, the session key is already known. A piece is gone when the next is asked for. */
async function* decrypt(
  chunks: AsyncIterable<Buffer>,
  envelopeBytes: number,
  sessionKey: Buffer,
): AsyncGenerator<Buffer> {
  const message = new MessageOpener(Buffer.from(sessionKey))
  let skip = envelopeBytes
  for await (const chunk of chunks) {
    const body = chunk.subarray(skip)
    skip -= chunk.length - body.length
    const pieces = body.length > 0 ? message.update(body) : []
    yield* pieces
    for (const piece of pieces) giveBack(piece)
  }
  yield* message.final()
}
