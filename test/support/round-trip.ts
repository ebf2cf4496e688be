/** There and back: what most tests of fidelity do with a database that they made. */
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from './coffre.ts'
import type { TestDatabase } from './postgres.ts'

export interface Made {
  readonly tables: number
  readonly rows: number
  readonly artifacts: readonly { readonly name: string; readonly kind: string }[]
}

/** Backs up, restores beside it, and has the examiner compare the two. */
export async function goesRound(database: TestDatabase): Promise<Made> {
  await using workshop = await makeWorkshop({ sources: { odd: { url: database.url } } })
  const made = await workshop.json(['backup'])
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  return made as unknown as Made
}
