/**
 * What is wrong with a configuration, where, and how to put it right. Problems name keys and never show a value:
 * any value may be a secret in the wrong place.
 */

export interface Problem {
  /** From 1. */
  readonly line: number
  /** `repositories.main.s3.region`, `recipients[0].file`; empty for the whole file. */
  readonly path: string
  /** What is wrong. */
  readonly message: string
  /** What to do about it. */
  readonly hint: string
}

/** A problem before its line is known. */
export interface Fault {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly hint: string
}

/** A key as messages show it. `secret_key=abc`, where a colon is missing, is one long key: it stays hidden. */
export function shownKey(key: PropertyKey): string {
  const text = String(key)
  return /^[\w.-]{1,63}$/.test(text) ? text : '(a key not shown)'
}

export function shownPath(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${shownKey(step)}`,
    )
    .join('')
}

/** `FILE:LINE: key.path: what is wrong; the fix` */
export function formatProblem(file: string, problem: Problem): string {
  const where = problem.path === '' ? '' : `${problem.path}: `
  return `${file}:${problem.line}: ${where}${problem.message}; ${problem.hint}`
}

/** The word of `known` that was most likely meant, undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 63) return undefined
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.min(2, candidate.length / 2))
    .sort((a, b) => a.distance - b.distance)
  return ranked[0]?.candidate
}

/** secretKey, secret-key and secret_key are one word. */
function plain(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '')
}

function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let index = 0; index < from.length; index += 1) {
    const next = [index + 1]
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (to[column - 1] === from[index] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
