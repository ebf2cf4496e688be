/**
 * What makes a careless backup silently wrong: row security that hides rows, time-outs set on the database, and tables that
 * are altered while the snapshot is being taken. Either the backup is whole, or it fails and says why.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, startCoffre, type Workshop } from '../support/coffre.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { eventually } from '../support/patience.ts'
import { makeDatabase, sql, urlOf, type TestDatabase } from '../support/postgres.ts'

test('row security makes a backup fail; it never backs up the rows a role may see', async () => {
  await using database = await makeDatabase('secured')
  const role = `backup_${randomUUID().slice(0, 8)}`
  await database.sql(`CREATE ROLE ${role} LOGIN IN ROLE pg_read_all_data;
    CREATE TABLE plain (id int); CREATE TABLE notes (id int, owner text); INSERT INTO notes VALUES (1, '${role}'), (2, 'someone else');
    ALTER TABLE notes OWNER TO ${role}; ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (owner = current_user)`)
  try {
    const url = urlOf(database.name, undefined, role)
    assert.equal(
      await sql(database.name, `SET ROLE ${role}; SELECT count(*) FROM notes`),
      '1',
      'the role sees one of two rows',
    )
    await using workshop = await makeWorkshop({ sources: { secured: { url } } })
    const { code, message, hint } = await workshop.error(['backup'], 1)
    assert.equal(code, 'ERR_SOURCE')
    assert.match(message, /row security would hide rows of public\.notes/)
    assert.match(hint, /BYPASSRLS/)
    assert.deepEqual(await workshop.json(['list']), { backups: [] })

    await sql('postgres', `ALTER ROLE ${role} BYPASSRLS`)
    assert.equal((await workshop.json(['backup']))['rows'], 2)
    await workshop.json([
      'restore',
      'latest',
      '--to',
      database.restored.url,
      '--identity',
      workshop.identity(),
    ])
    await assertSameDatabase(database.conninfo, database.restored.conninfo)
  } finally {
    await database[Symbol.asyncDispose]()
    await sql('postgres', `DROP ROLE ${role}`)
  }
})

/** Runs `first`, starts a backup, and commits only when that has waited half a second for a lock; `meanwhile` is run in its middle. */
async function backUpInto(
  workshop: Workshop,
  database: TestDatabase,
  first: string,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Awaited<ReturnType<typeof startCoffre>['ended']>> {
  using paused = pauseDumps()
  const changed =
    database.sql(`SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; BEGIN; ${first};
    DO $$ BEGIN
      FOR i IN 1..300 LOOP
        PERFORM pg_sleep(0.1);
        IF EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) THEN
          PERFORM pg_sleep(0.5);
          RETURN;
        END IF;
      END LOOP;
      RAISE 'the backup never came to the lock';
    END $$; COMMIT`)
  await eventually('the lock is held', async () => {
    const held = `SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = '${database.name}')`
    return (await sql('postgres', held)) !== '0'
  })
  const { ended } = startCoffre(['backup', '--json'], { cwd: workshop.folder, env: paused.environment })
  await changed
  await Promise.race([paused.snapshot(), ended])
  // The session that holds the snapshot has nothing to do meanwhile.
  await sleep(500)
  try {
    await meanwhile()
  } finally {
    paused.resume()
  }
  return await ended
}

test('time-outs and defaults set on the database neither end a backup nor change what it reads', async () => {
  await using database = await makeDatabase('impatient')
  await database.sql(
    `CREATE TABLE t (id int, d date, i interval); INSERT INTO t SELECT n, '2020-02-29', '-1 day 2 hours' FROM generate_series(1, 1000) n`,
  )
  await using workshop = await makeWorkshop({ sources: { impatient: { url: database.url, jobs: 1 } } })
  const settings = {
    statement_timeout: '300ms',
    lock_timeout: '300ms',
    idle_in_transaction_session_timeout: '300ms',
    idle_session_timeout: '300ms',
    default_transaction_read_only: 'on',
    default_transaction_isolation: 'serializable',
    default_transaction_deferrable: 'on',
    client_min_messages: 'debug5',
    search_path: 'nowhere',
    row_security: 'off',
    enable_tidscan: 'off',
    quote_all_identifiers: 'on',
    datestyle: 'German',
    intervalstyle: 'iso_8601',
    transform_null_equals: 'on',
  }
  const set = Object.entries(settings).map(
    ([name, value]) => `ALTER DATABASE "${database.name}" SET ${name} = '${value}';`,
  )
  await sql('postgres', set.join('\n'))
  const { status, stderr } = await backUpInto(
    workshop,
    database,
    'SET TRANSACTION READ WRITE; LOCK TABLE public.t',
  )
  assert.equal(status, 0, stderr)
  await workshop.json(['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

const changes = [
  ['truncated', `TRUNCATE t; INSERT INTO log VALUES ('truncated')`],
  [
    'rewritten',
    `ALTER TABLE t ALTER COLUMN id TYPE bigint, ADD COLUMN more text DEFAULT 'more'; CREATE TABLE u AS SELECT * FROM t;
     INSERT INTO log VALUES ('rewritten')`,
  ],
  ['renamed', `ALTER TABLE t RENAME TO u; INSERT INTO log VALUES ('renamed')`],
] as const

for (const [what, change] of changes) {
  test(`a table ${what} while the backup waits for it is backed up as that left it`, async () => {
    await using database = await makeDatabase('moving')
    await database.sql(
      `CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100); CREATE TABLE log (entry text)`,
    )
    await using workshop = await makeWorkshop({ sources: { moving: { url: database.url, jobs: 1 } } })
    const { status, stderr } = await backUpInto(workshop, database, change)
    assert.equal(status, 0, stderr)
    await workshop.json([
      'restore',
      'latest',
      '--to',
      database.restored.url,
      '--identity',
      workshop.identity(),
    ])
    await assertSameDatabase(database.conninfo, database.restored.conninfo)
  })
}

test('a table that came while the backup waited for another is held like all the rest', async () => {
  await using database = await makeDatabase('newcomer')
  await database.sql('CREATE TABLE t (id int)')
  await using workshop = await makeWorkshop({ sources: { newcomer: { url: database.url, jobs: 1 } } })
  const truncate = database.sql.bind(database, `SET lock_timeout = '50ms'; TRUNCATE u`)
  const meanwhile = (): Promise<void> => assert.rejects(truncate(), /lock timeout/)
  const change = 'LOCK TABLE t; CREATE TABLE u AS SELECT generate_series(1, 100) AS id'
  const { status, stdout, stderr } = await backUpInto(workshop, database, change, meanwhile)
  assert.equal(status, 0, stderr)
  assert.equal((JSON.parse(stdout) as { rows: number }).rows, 100)
})

test('until the backup has ended no table can be truncated, rewritten, altered or dropped, whether it was read yet or not', async () => {
  await using database = await makeDatabase('held')
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)`)
  await using workshop = await makeWorkshop({ sources: { held: { url: database.url, jobs: 1 } } })
  using paused = pauseDumps()
  const { ended } = startCoffre(['backup', '--json'], { cwd: workshop.folder, env: paused.environment })
  try {
    await paused.snapshot()
    for (const change of [
      'TRUNCATE t',
      'VACUUM FULL t',
      'ALTER TABLE t ADD COLUMN more int',
      'DROP TABLE t',
    ]) {
      await assert.rejects(database.sql(`SET lock_timeout = '50ms'; ${change}`), /lock timeout/)
    }
    await database.sql('DELETE FROM t WHERE id > 10')
  } finally {
    paused.resume()
  }
  const { status, stdout, stderr } = await ended
  assert.equal(status, 0, stderr)
  assert.equal((JSON.parse(stdout) as { rows: number }).rows, 100)
})
