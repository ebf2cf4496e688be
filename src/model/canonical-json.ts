/**
 * One JSON text per value: what is signed is written in exactly one way (two spaces, a newline at the end), and
 * reading refuses any other. So duplicate keys, two spellings of one number or a byte-order mark cannot make two
 * readers see two documents under one signature. The stock procedure reads these files line by line with sed,
 * which the one form allows.
 */
import { CoffreError } from '../errors.ts'

export function encodeJson(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`, 'utf8')
}

/** Parses bytes written by `encodeJson`. Throws ERR_FORMAT, naming `what`, for anything else. */
export function decodeJson(bytes: Buffer, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw new CoffreError('ERR_FORMAT', `${what} is not JSON`, { cause })
  }
  if (!isOneForm(value, bytes)) {
    throw new CoffreError('ERR_FORMAT', `${what} is not in the one form coffre writes (duplicate keys?)`)
  }
  return value
}

/** Nesting so deep that it cannot be written again is not in the one form either. */
function isOneForm(value: unknown, bytes: Buffer): boolean {
  try {
    return encodeJson(value).equals(bytes)
  } catch {
    return false
  }
}
