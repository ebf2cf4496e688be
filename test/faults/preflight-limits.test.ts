/** A source whose limits are too narrow for a backup (hazard 4): said before anything is written, with the number needed. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { ScratchCluster } from '../../src/postgres/scratch-cluster.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase, sql, urlOf } from '../support/postgres.ts'
import { filesBelow } from '../support/repository-folder.ts'
import { environment } from '../support/session.ts'

test('more tables than the lock table has room for: refused, and the setting it names is enough', async () => {
  const start = (locks: string): Promise<ScratchCluster> =>
    ScratchCluster.start({
      environment,
      signal: new AbortController().signal,
      settings: { max_connections: '20', max_locks_per_transaction: locks, shared_buffers: '32MB' },
    })
  const make = `SELECT format('CREATE TABLE t%s (id int)', n) FROM generate_series(1, 300) n \\gexec\n`
  let enough = ''
  {
    await using narrow = await start('10')
    const server = `host=${narrow.folder} user=postgres`
    await sql('postgres', make, [], server)
    await using workshop = await makeWorkshop({
      sources: { many: { url: urlOf('postgres', server), jobs: 2 } },
    })
    const before = await filesBelow(workshop.folder)
    const { code, message, hint } = await workshop.error(['backup'], 1)
    assert.equal(code, 'ERR_SOURCE')
    assert.match(message, /lock table has room for 420 locks .* the 300 relations/)
    enough = /SET max_locks_per_transaction = (\d+), and restart/.exec(hint)?.[1] ?? assert.fail(hint)
    assert.deepEqual(await filesBelow(workshop.folder), before)
  }
  await using wide = await start(enough)
  const server = `host=${wide.folder} user=postgres`
  await sql('postgres', make, [], server)
  await using workshop = await makeWorkshop({
    sources: { many: { url: urlOf('postgres', server), jobs: 2 } },
  })
  assert.equal((await workshop.json(['backup']))['tables'], 300)
})

test('fewer connections than the jobs need: refused with how many there are, and fewer jobs work', async () => {
  const role = `narrow_${randomUUID().slice(0, 8)}`
  const database = await makeDatabase('narrow')
  try {
    await database.sql(`CREATE ROLE ${role} LOGIN CONNECTION LIMIT 3 IN ROLE pg_read_all_data; CREATE TABLE t (id int);
      ALTER DATABASE "${database.name}" CONNECTION LIMIT 3`)
    const url = urlOf(database.name, undefined, role)
    await using workshop = await makeWorkshop({ sources: { narrow: { url, jobs: 4 } } })
    const before = await filesBelow(workshop.folder)
    const { message, hint } = await workshop.error(['backup'], 1)
    assert.match(
      message,
      new RegExp(`the role "${role}" has 3 connections left, and a backup with 4 jobs needs 6`),
    )
    assert.match(message, /; the database has 3 connections left/)
    assert.match(hint, /set jobs: 1 for this source/)
    assert.deepEqual(await filesBelow(workshop.folder), before)
    await workshop.configure({ sources: { narrow: { url, jobs: 1 } } })
    await workshop.json(['backup'])
  } finally {
    await database[Symbol.asyncDispose]()
    await sql('postgres', `DROP ROLE ${role}`)
  }
})
