/** The vectors of shares, and the lines of Python in docs/keys.md that put shares together without coffre. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { home } from './coffre.ts'

export interface SplitVector {
  readonly threshold: number
  readonly count: number
  readonly passphrase: string
  readonly shares: readonly {
    readonly set: string
    readonly lines: readonly string[]
    readonly scanned: string
  }[]
}

export const splitVectors = (
  JSON.parse(readFileSync(join(home, 'test/vectors/shares/v1.json'), 'utf8')) as { splits: SplitVector[] }
).splits

const page = readFileSync(join(home, 'docs/keys.md'), 'utf8')

/** The one block of a language in docs/keys.md, as printed. */
export function keysPageBlock(language: 'python' | 'sh'): string {
  const found = [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))]
  assert.equal(found.length, 1)
  return found[0]?.[1] ?? ''
}

/** What the page's Python says to these shares: the passphrase, or what is wrong. */
export function combineByPython(text: string): { readonly passphrase: string; readonly fault: string } {
  const ran = spawnSync('python3', ['-I', '-c', keysPageBlock('python')], { input: text })
  if (ran.error !== undefined) throw ran.error
  assert.equal(ran.status === 0, ran.stderr.length === 0, ran.stderr.toString())
  return { passphrase: ran.stdout.toString().trim(), fault: ran.stderr.toString().trim() }
}
