/**
 * One share as people hold it: eight short lines to type, or one text to scan (docs/format.md, section 14). Promises
 * that a mistyped line is told by its number, and a share that was altered otherwise is told as such, before it is put
 * together with others. It knows nothing of the arithmetic.
 */
import { createHash } from 'node:crypto'
import { CoffreError } from '../errors.ts'

export interface Share {
  /** How many shares open, and how many there are. */
  readonly threshold: number
  readonly count: number
  /** From 1. */
  readonly index: number
  /** Eight upper-case hexadecimal digits, random: the same for all shares of one splitting, and for no others. */
  readonly set: string
  /** The first bytes of a digest of the secret: whether shares gave the right one. */
  readonly check: Buffer
  /** The point of the polynomial: y for each byte of the secret, then x. Secret. */
  readonly point: Buffer
}

/** RFC 4648 base32: it has neither 0, 1, 8 nor 9, so those can only be meant for letters. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const lookalikes: Readonly<Record<string, string>> = { 0: 'O', 1: 'I', 8: 'B' }
const version = 1
const recordBytes = 49
const checksumBytes = 6
/** Letters of the share in a line; one more, the last, checks them. */
const lineLetters = 11
export const linesOfShare = 8
const scanned = 'COFFRE-SHARE-1:'

export function checkOf(secret: Buffer): Buffer {
  return createHash('sha256').update('coffre-share-1').update(secret).digest().subarray(0, 8)
}

/** The eight lines, `1/8  ABCD EFGH IJKL` and so on. */
export function linesOf(share: Share): readonly string[] {
  const letters = base32(encode(share))
  return Array.from({ length: linesOfShare }, (_, at) => {
    const part = letters.slice(at * lineLetters, (at + 1) * lineLetters)
    const whole = part + checkLetter(part, at + 1)
    return `${at + 1}/${linesOfShare}  ${whole.slice(0, 4)} ${whole.slice(4, 8)} ${whole.slice(8)}`
  })
}

/** All of it on one line, in characters that a QR code holds in little room. */
export function scannedText(share: Share): string {
  return scanned + linesOf(share).map(lettersOf).join('')
}

/** The letters of line `number` as somebody typed it, with or without its number. Throws ERR_SHARE, naming the line. */
export function readLine(typed: string, number: number, where: string): string {
  const letters = lettersOf(typed)
  const part = letters.slice(0, lineLetters)
  const fits = letters.length === lineLetters + 1 && /^[A-Z2-7]*$/.test(letters)
  if (!fits || checkLetter(part, number) !== letters.at(-1)) {
    throw new CoffreError('ERR_SHARE', `line ${number} of ${where} is mistyped`, {
      hint: `compare it with the paper: three groups of four letters or digits, after ${number}/${linesOfShare}`,
    })
  }
  return part
}

/** One share from its eight lines' letters, as `readLine` gave them. Throws ERR_SHARE. */
export function shareOf(parts: readonly string[], where: string): Share {
  const bytes = unbase32(parts.join(''))
  const record = bytes.subarray(0, recordBytes)
  const sum = createHash('sha256').update(record).digest().subarray(0, checksumBytes)
  if (bytes.length !== recordBytes + checksumBytes || !sum.equals(bytes.subarray(recordBytes))) {
    throw new CoffreError('ERR_SHARE', `${where} is mistyped, or its lines are those of several shares`, {
      hint: 'compare every line with the paper',
    })
  }
  if (bytes[0] !== version) {
    throw new CoffreError(
      'ERR_SHARE',
      `${where} has version ${bytes[0] ?? 'none'}, this coffre reads ${version}`,
      {
        hint: 'take a newer coffre',
      },
    )
  }
  return decode(bytes)
}

/** Every share in a text, typed or scanned, one after the other; other lines are passed over. Throws ERR_SHARE. */
export function readShares(text: string): readonly Share[] {
  const shares: Share[] = []
  let parts: string[] = []
  let lastTyped: Share | undefined
  const where = (): string => `share number ${shares.length + 1} of those given`
  for (const line of text.split('\n')) {
    if (isScanned(line)) {
      const share = readScanned(line, where())
      // A share's file has it in both forms.
      if (lastTyped === undefined || !isSame(lastTyped, share)) shares.push(share)
      lastTyped = undefined
      continue
    }
    const number = Number(/^\s*([1-8])\/8\s/.exec(line)?.[1] ?? 0)
    if (number === 0) continue
    if (number !== parts.length + 1) throw missingLine(parts.length + 1, where())
    parts.push(readLine(line, number, where()))
    if (parts.length < linesOfShare) continue
    lastTyped = shareOf(parts, where())
    shares.push(lastTyped)
    parts = []
  }
  if (parts.length > 0) throw missingLine(parts.length + 1, where())
  return shares
}

export function isScanned(line: string): boolean {
  return line.trim().toUpperCase().startsWith(scanned)
}

/** What a QR code of a share says. Throws ERR_SHARE. */
export function readScanned(line: string, where: string): Share {
  const letters = line.trim().slice(scanned.length)
  const size = lineLetters + 1
  const lines = Array.from({ length: Math.ceil(letters.length / size) }, (_, at) =>
    letters.slice(at * size, (at + 1) * size),
  )
  return shareOf(
    lines.map((part, at) => readLine(part, at + 1, where)),
    where,
  )
}

function isSame(one: Share, other: Share): boolean {
  return scannedText(one) === scannedText(other)
}

function missingLine(number: number, where: string): CoffreError {
  return new CoffreError('ERR_SHARE', `line ${number} of ${where} is missing`, {
    hint: 'a share has eight lines, 1/8 to 8/8, in this order',
  })
}

function lettersOf(typed: string): string {
  const letters = typed
    .replace(/^\s*\d\/8/, '')
    .replaceAll(/[\s-]/g, '')
    .toUpperCase()
  return letters.replaceAll(/[018]/g, (letter) => lookalikes[letter] ?? letter)
}

/** Odd weights find every single wrong letter; the number finds a line in another's place. */
function checkLetter(part: string, number: number): string {
  const sum = part
    .split('')
    .reduce((total, letter, at) => total + (2 * at + 1) * alphabet.indexOf(letter), number)
  return alphabet[sum % alphabet.length] ?? ''
}

function encode({ threshold, count, index, set, check, point }: Share): Buffer {
  const x = point.subarray(-1)
  const y = point.subarray(0, -1)
  const record = Buffer.concat([
    Buffer.from([version, threshold, count, index]),
    Buffer.from(set, 'hex'),
    check,
    x,
    y,
  ])
  return Buffer.concat([record, createHash('sha256').update(record).digest().subarray(0, checksumBytes)])
}

function decode(bytes: Buffer): Share {
  return {
    threshold: bytes.readUInt8(1),
    count: bytes.readUInt8(2),
    index: bytes.readUInt8(3),
    set: bytes.toString('hex', 4, 8).toUpperCase(),
    check: bytes.subarray(8, 16),
    point: Buffer.concat([bytes.subarray(17, recordBytes), bytes.subarray(16, 17)]),
  }
}

function base32(bytes: Buffer): string {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  return (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join('')
}

function unbase32(letters: string): Buffer {
  const bits = letters
    .split('')
    .map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)))
}
