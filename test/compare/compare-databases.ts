/**
 * Are two databases the same? Asked of PostgreSQL alone: psql runs database-facts.sql on each, and the lines are
 * compared. Shares no code with coffre, so that it can judge coffre. What counts as a fact, and what is left out,
 * is written at the head of the script.
 */
import { AssertionError } from 'node:assert'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('database-facts.sql', import.meta.url))
const linesShown = 30

interface FactsOptions {
  /**
   * An exported snapshot, held by another session: the facts are then of that moment. Two kinds are always of now,
   * as PostgreSQL keeps no older ones: `sequence value`, and definitions changed since.
   */
  readonly snapshot?: string
}

/**
 * The facts of a database, sorted: one JSON array a line, its first member the kind.
 * The connection must be a superuser's. Throws with psql's own words when it fails or is missing.
 */
export async function databaseFacts(
  conninfo: string,
  options: FactsOptions = {},
): Promise<readonly string[]> {
  const snapshot = options.snapshot === undefined ? [] : ['-v', `snapshot=${options.snapshot}`]
  const psql = spawn('psql', ['-X', '-q', '-A', '-t', '-w', '-d', conninfo, ...snapshot, '-f', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = new Promise<number | null>((resolve, reject) => {
    psql.once('error', reject)
    psql.once('close', resolve)
  })
  const [status, output, complaint] = await Promise.all([exit, text(psql.stdout), text(psql.stderr)])
  if (status !== 0) throw new Error(`psql could not tell the facts of ${conninfo}: ${complaint}`)
  return output
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}

/** The lines that only one side has, in order: `- ` before those of the left, `+ ` before those of the right. */
export function differingFacts(left: readonly string[], right: readonly string[]): readonly string[] {
  const differing: string[] = []
  let l = 0
  let r = 0
  while (l < left.length || r < right.length) {
    const ours = left[l]
    const theirs = right[r]
    if (ours === theirs) {
      l++
      r++
    } else if (theirs === undefined || (ours !== undefined && ours < theirs)) {
      differing.push(`- ${ours}`)
      l++
    } else {
      differing.push(`+ ${theirs}`)
      r++
    }
  }
  return differing
}

/** Throws an AssertionError that shows the first 30 differing lines. Both must be sorted, as databaseFacts has them. */
export function assertSameFacts(left: readonly string[], right: readonly string[]): void {
  // Nothing equals nothing: a script that printed no line must not pass for two equal databases.
  if (left.length === 0) throw new AssertionError({ message: 'there are no facts to compare' })
  const differing = differingFacts(left, right)
  if (differing.length === 0) return
  const shown = differing.slice(0, linesShown)
  throw new AssertionError({
    message: `${differing.length} facts differ, of them ${shown.length} here:\n${shown.join('\n')}`,
  })
}

/** Throws an AssertionError that shows the first 30 differing facts, unless both databases are the same. */
export async function assertSameDatabase(leftConninfo: string, rightConninfo: string): Promise<void> {
  const [left, right] = await Promise.all([databaseFacts(leftConninfo), databaseFacts(rightConninfo)])
  assertSameFacts(left, right)
}
