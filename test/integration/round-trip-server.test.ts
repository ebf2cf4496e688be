/** What ties a database to its server: tablespaces, the locale's version, security labels, subscriptions. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chownSync, mkdirSync, statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { conninfoOf, makeDatabase, sql, urlOf } from '../support/postgres.ts'
import { restoreByStock } from '../support/restore-by-stock.ts'

async function makeTablespace({ server, socketFolder }: OwnServer, name: string): Promise<void> {
  const folder = join(socketFolder, `space of ${name}`)
  mkdirSync(folder)
  const { uid, gid } = statSync(socketFolder)
  chownSync(folder, uid, gid)
  await sql('postgres', `CREATE TABLESPACE "${name}" LOCATION '${folder}'`, [], server)
}

test('a database goes into its tablespaces where they are, and into the default one where they are not', async () => {
  await using source = await startOwnServer()
  await using destination = await startOwnServer()
  for (const name of ['its own', 'for one table']) await makeTablespace(source, name)
  await makeTablespace(destination, 'its own')
  await using database = await makeDatabase('placed', source.server, `TABLESPACE "its own"`)
  await database.sql(
    `CREATE TABLE a (id int) TABLESPACE "for one table"; INSERT INTO a VALUES (1); CREATE INDEX ON a (id) TABLESPACE "for one table"; CREATE TABLE b AS SELECT 1 AS one`,
  )
  await using workshop = await makeWorkshop({ sources: { placed: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  const restore = ['restore', 'latest', '--identity', workshop.identity(), '--to']
  await workshop.json([...restore, database.restored.url])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
  const again = `${database.name}_again`
  await restoreByStock(workshop, { source: 'placed', id, database: again, server: source.server })
  await assertSameDatabase(database.conninfo, conninfoOf(again, source.server))
  await sql('postgres', `DROP DATABASE "${again}"`, [], source.server)

  const { stderr } = await workshop.coffre([...restore, urlOf('placed', destination.server)])
  assert.match(
    stderr,
    /tablespaces that cannot be used here: for one table; everything lies where the database does/,
  )
  const where = `SELECT (SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = 'placed'),
    (SELECT count(*) FROM pg_class WHERE reltablespace <> 0 AND oid >= 16384), (SELECT count(*) FROM a)`
  assert.equal(await sql('placed', where, [], destination.server), 'its own|0|1')

  await using nowhere = await startOwnServer()
  const told = await workshop.coffre([...restore, urlOf('placed', nowhere.server)])
  assert.match(
    told.stderr,
    /the tablespace its own cannot be used here: the database lies in the default one/,
  )
  assert.equal(await sql('placed', `SELECT count(*) FROM a`, [], nowhere.server), '1')
})

test('a locale of another version and a label that nobody here knows are warned of, and every row is there', async () => {
  await using database = await makeDatabase(
    'sorted',
    undefined,
    `ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE' LOCALE 'C.UTF-8'`,
  )
  await database.sql(`CREATE TABLE t (v text); INSERT INTO t VALUES ('ö'), ('z');
    UPDATE pg_database SET datcollversion = '0.1' WHERE datname = current_database();
    INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'nobody''s', 'a "label"' FROM pg_database WHERE datname = current_database()`)
  await using workshop = await makeWorkshop({ sources: { sorted: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  const restore = ['restore', 'latest', '--to', database.restored.url, '--identity', workshop.identity()]
  const { warnings, rows } = await workshop.json(restore, { status: 3 })
  const [sorts, labels, ...more] = warnings as string[]
  assert.match(sorts ?? '', /^text sorts by version \S+ of the locale here, and by 0\.1 at the source$/)
  assert.match(
    labels ?? '',
    /^could not run SECURITY LABEL FOR "nobody's" .* security label provider "…" is not loaded$/,
  )
  assert.deepEqual([rows, more], [2, []])

  await sql('postgres', `DROP DATABASE "${database.restored.name}"`)
  const said = await restoreByStock(workshop, { source: 'sorted', id, database: database.restored.name })
  assert.match(said, /security label provider "nobody's" is not loaded/)
})

/** A publisher that must never be heard of: it counts who comes. */
async function listen(): Promise<
  { readonly port: number; readonly visitors: () => number } & AsyncDisposable
> {
  let visitors = 0
  const server = createServer((socket) => {
    visitors += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    visitors: () => visitors,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

const forget = `ALTER SUBSCRIPTION "ours & theirs" DISABLE; ALTER SUBSCRIPTION "ours & theirs" SET (slot_name = NONE); DROP SUBSCRIPTION "ours & theirs"`

test('subscriptions come back disabled and are named; a failed restore removes them; the publisher never hears of it', async () => {
  await using publisher = await listen()
  await using database = await makeDatabase('subscribed')
  const { name, url, conninfo } = database.restored
  const subscribe = (database: string): Promise<string> =>
    sql(
      database,
      `CREATE SUBSCRIPTION "ours & theirs" CONNECTION 'host=127.0.0.1 port=${publisher.port} dbname=p' PUBLICATION p WITH (connect = false, slot_name = 'production')`,
    )
  await database.sql(`CREATE TABLE t (id int); INSERT INTO t VALUES (1)`)
  await subscribe(database.name)
  try {
    await using workshop = await makeWorkshop({ sources: { subscribed: { url: database.url } } })
    await workshop.json(['backup'])
    const restore = ['restore', 'latest', '--to', url, '--identity', workshop.identity()]
    const { stderr } = await workshop.coffre(restore)
    assert.match(
      stderr,
      /subscriptions ours & theirs came back disabled, and name the same slots as the source's/,
    )
    await assertSameDatabase(database.conninfo, conninfo)
    assert.equal(
      await sql(
        name,
        `SELECT subenabled, subslotname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      ),
      'f|production',
    )
    await sql(name, forget)
    await sql('postgres', `DROP DATABASE "${name}"`)

    // Whatever a REFRESH does comes after the rows, and beside the subscriptions.
    await database.sql(`CREATE TABLE log (at timestamptz); CREATE FUNCTION told() RETURNS int LANGUAGE sql AS 'INSERT INTO public.log VALUES (now()); SELECT 1';
      CREATE MATERIALIZED VIEW m AS SELECT public.told(); DELETE FROM log`)
    await workshop.json(['backup'])
    const { code, message } = await workshop.error(restore, 1)
    assert.equal(code, 'ERR_MISMATCH')
    assert.match(message, /table \["public","log"\] has 1 rows, the snapshot had 0/)
    const left = `SELECT (SELECT count(*) FROM pg_database WHERE datname ~ '^${database.name}_'), (SELECT count(*) FROM pg_subscription s WHERE subname ~ 'ours')`
    assert.equal(await sql('postgres', left), '0|1')
    assert.equal(publisher.visitors(), 0)
  } finally {
    await database.sql(forget)
  }
})
