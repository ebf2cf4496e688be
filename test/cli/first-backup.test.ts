/** The path a newcomer takes: init, backup, list, show, verify, restore. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase, sql, urlOf } from '../support/postgres.ts'

test('a database is backed up, listed, verified and restored, row for row', async () => {
  await using database = await makeDatabase('first')
  await database.sql(
    `CREATE TABLE people (id int PRIMARY KEY, name text); INSERT INTO people SELECT n, 'person ' || n FROM generate_series(1, 1000) n`,
  )
  await using workshop = await makeWorkshop({ sources: { people: { url: database.url } } })

  const made = await workshop.json(['backup'])
  assert.equal(made['tables'], 1)
  assert.equal(made['rows'], 1000)
  const { backups } = (await workshop.json(['list'])) as { backups: { id: string }[] }
  assert.deepEqual(
    backups.map(({ id }) => id),
    [made['id']],
  )
  assert.equal((await workshop.json(['verify', '--all']))['ok'], true)
  const restored = `${database.name}_restored`
  const result = await workshop.json([
    'restore',
    'latest',
    '--to',
    urlOf(restored),
    '--identity',
    workshop.identity(),
  ])
  assert.equal(result['rows'], 1000)
  assert.equal(await sql(restored, `SELECT count(*), sum(id), min(name) FROM people`), '1000|500500|person 1')
})
