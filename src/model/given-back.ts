/** Memory that nobody needs any more. */

/** Node keeps short Buffers together in one piece of memory (Buffer.poolSize). */
const shareableBytes = 128 * 1024

/**
 * Frees what `bytes` lie in at once, if they are all that lies there: left to the collector, a gigabyte that passes through has it
 * run a hundred times. Nobody may look at them again.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength > shareableBytes) buffer.transfer(0)
}
