/**
 * The main promise: a database that keeps being written to comes back as it was at the snapshot. Each backup is held
 * open for a moment, so that the examiner, who shares no code with coffre, can tell the facts of that very snapshot;
 * its rows are read only afterwards, from a database that has long gone on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSameFacts, databaseFacts, differingFacts } from '../compare/compare-databases.ts'
import { makeWorkshop, startCoffre, type Workshop } from '../support/coffre.ts'
import { demoWriters, loadDemo, pgbench, startWriters } from '../support/demo-database.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { eventually } from '../support/patience.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'

type Facts = readonly string[]

const isSequenceValue = (fact: string): boolean => fact.startsWith('["sequence value"')
const isOfRows = (fact: string): boolean => fact.startsWith('["rows"')

/** All that a snapshot holds: sequences stand where they stand, whatever the snapshot. */
function withoutSequenceValues(facts: Facts): Facts {
  return facts.filter((fact) => !isSequenceValue(fact))
}

/** The tables whose rows are not the same, by name. */
function changedTables(before: Facts, after: Facts): readonly string[] {
  const lines = differingFacts(before.filter(isOfRows), after.filter(isOfRows))
  return [...new Set(lines.map((line) => (JSON.parse(line.slice(2)) as string[])[1] ?? ''))].sort()
}

/**
 * Backs up while the writers write, until each of `tables` has changed since the snapshot. `jobs: 1` in the
 * configuration makes the rows wait for pg_dump, which waits for the facts to be told.
 */
async function backUpUnderWriters(
  workshop: Workshop,
  database: TestDatabase,
  tables: readonly string[],
): Promise<{ readonly snapshot: Facts; readonly later: Facts }> {
  using paused = pauseDumps()
  const { child, ended } = startCoffre(['backup', '--json'], {
    cwd: workshop.folder,
    env: paused.environment,
  })
  try {
    const snapshot = await databaseFacts(database.conninfo, { snapshot: await paused.snapshot() })
    const later = await eventually(
      `${tables.join(' and ')} change`,
      async () => {
        const facts = await databaseFacts(database.conninfo)
        const changed = changedTables(snapshot, facts)
        return tables.every((table) => changed.includes(table)) && facts
      },
      60_000,
    )
    paused.resume()
    const { status, stderr } = await ended
    assert.equal(status, 0, stderr)
    return { snapshot, later }
  } finally {
    child.kill()
    await ended
  }
}

async function restoredFacts(workshop: Workshop, database: TestDatabase): Promise<Facts> {
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  return await databaseFacts(database.restored.conninfo)
}

test('the building-management database comes back as the snapshot had it, while it was written to', async () => {
  await using database = await makeDatabase('buildings')
  await loadDemo(database, { scale: 0.05 })
  await using workshop = await makeWorkshop({ sources: { demo: { url: database.url, jobs: 1 } } })
  await using writers = startWriters(database.conninfo, demoWriters)
  const written = [
    'public.iot_readings',
    'accounting.payments',
    'public.ticket_messages',
    'public.audit_logs_later',
  ]
  const { snapshot, later } = await backUpUnderWriters(workshop, database, written)
  await writers.stop()

  const restored = await restoredFacts(workshop, database)
  assertSameFacts(withoutSequenceValues(snapshot), withoutSequenceValues(restored))
  // No sequence is behind its rows: the writers, who would stumble over a doubled key, can go on in the restored database.
  assert.deepEqual(
    restored.filter(isSequenceValue).map((fact) => fact.split(',')[1]),
    later.filter(isSequenceValue).map((fact) => fact.split(',')[1]),
  )
  await pgbench(database.restored.conninfo, [...demoWriters, '-t', '20'])
})

test("pgbench's database, its largest table sliced, comes back in balance as the snapshot had it", async () => {
  await using database = await makeDatabase('bank')
  await pgbench(database.conninfo, ['-i', '-I', 'dtGvpf', '-q', '-s', '8'])
  await using workshop = await makeWorkshop({ sources: { bank: { url: database.url, jobs: 1 } } })
  await using writers = startWriters(database.conninfo, ['-n'])
  const tables = ['accounts', 'branches', 'history', 'tellers'].map((name) => `public.pgbench_${name}`)
  const { snapshot } = await backUpUnderWriters(workshop, database, tables)
  await writers.stop()

  const { inventory } = (await workshop.json([
    'show',
    'latest',
    '--inventory',
    '--identity',
    workshop.identity(),
  ])) as {
    inventory: { tables: { name: string }[]; rowArtifacts: { blocks: { table: number }[] }[] }
  }
  const accounts = inventory.tables.findIndex(({ name }) => name === 'pgbench_accounts')
  const slices = inventory.rowArtifacts.filter(({ blocks }) => blocks.some(({ table }) => table === accounts))
  assert.ok(slices.length >= 2, 'the accounts are in several slices')
  assertSameFacts(snapshot, await restoredFacts(workshop, database))
  const sums = await sql(
    database.restored.name,
    `SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches),
       (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(delta) FROM pgbench_history)`,
  )
  assert.match(sums, /^(-?\d+)\|\1\|\1\|\1$/)
})
