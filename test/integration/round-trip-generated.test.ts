/** Databases at random: whatever is in one, what comes back equals the snapshot. */
import { test } from 'node:test'
import * as fc from 'fast-check'
import { generateDatabase } from '../support/generated-database.ts'
import { makeDatabase } from '../support/postgres.ts'
import { holds } from '../support/property.ts'
import { goesRound } from '../support/round-trip.ts'

test('any database comes back equal', async (t) => {
  const comesBack = fc.asyncProperty(fc.gen(), async (decide) => {
    const statements = generateDatabase((arbitrary) => decide(() => arbitrary))
    await using database = await makeDatabase('generated')
    try {
      await database.sql(`${statements.join(';\n')};`)
      await goesRound(database)
    } catch (error) {
      throw new Error(`not this one:\n${statements.join(';\n')}`, { cause: error })
    }
  })
  await holds(t, comesBack, 3, { shrink: false })
})
