/**
 * A second opinion on definitions: the text `pg_dump --schema-only` writes of two databases, statement group by statement
 * group, in no order. The columns of a table may stand in another order (PostgreSQL itself moves those of an inheritance
 * child when it is restored), so the lines of a table are compared sorted; of everything else as they are.
 */
import { AssertionError } from 'node:assert'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { differingFacts } from './compare-databases.ts'

const differencesShown = 30

/** What pg_dump writes of each object, sorted. */
async function dumpedObjects(conninfo: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(
    'pg_dump',
    ['--schema-only', '--no-password', '-d', conninfo],
    {
      maxBuffer: 2 ** 28,
    },
  )
  // A key of every dump's own, and what holds for all that follows, written where it changes: both depend on the order.
  const lasting = stdout.replaceAll(/^(?:\\(?:un)?restrict .*|SET default_\w+ = .*;)\n/gm, '')
  return lasting
    .split(/\n--\n-- (?=Name: |PostgreSQL database dump complete)/)
    .filter((object) => object.startsWith('Name: '))
    .map((object) =>
      /; Type: (?:FOREIGN )?TABLE;/.test(object) ? withSortedLines(object) : object.trimEnd(),
    )
    .sort()
}

function withSortedLines(object: string): string {
  return object
    .split('\n')
    .map((line) => line.replace(/,$/, ''))
    .filter((line) => line !== '')
    .sort()
    .join('\n')
}

/** Throws an AssertionError that shows the first 30 differing objects, unless pg_dump writes the same of both. */
export async function assertSameDefinitions(leftConninfo: string, rightConninfo: string): Promise<void> {
  const [left, right] = await Promise.all([dumpedObjects(leftConninfo), dumpedObjects(rightConninfo)])
  if (left.length === 0) throw new AssertionError({ message: 'there are no definitions to compare' })
  const differing = differingFacts(left, right)
  if (differing.length === 0) return
  const shown = differing.slice(0, differencesShown).join('\n')
  throw new AssertionError({ message: `pg_dump writes ${differing.length} objects that differ:\n${shown}` })
}
