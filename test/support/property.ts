/** Properties, checked by fast-check with a seed that is printed, so that a failure can be had again. */
import type { TestContext } from 'node:test'
import * as fc from 'fast-check'

/**
 * Checks a property over `cases` generated values; the test fails with the smallest one that breaks it, or with the first
 * where each takes so long that nobody would wait for a smaller one.
 */
export async function holds<T>(
  t: TestContext,
  property: fc.IProperty<T> | fc.IAsyncProperty<T>,
  cases: number,
  { shrink = true }: { readonly shrink?: boolean } = {},
): Promise<void> {
  const seed = Date.now() | 0
  t.diagnostic(`seed ${seed}, cases ${cases}`)
  await fc.assert(property, {
    seed,
    numRuns: cases,
    endOnFailure: !shrink,
    verbose: fc.VerbosityLevel.Verbose,
  })
}
