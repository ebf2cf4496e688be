/**
 * Snapshots that grow old (hazard 6): while one is open vacuum removes nothing younger on the whole server, so there is an
 * age at which the backup gives up; and a server that forgets old snapshots by itself is told of beforehand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScratchCluster } from '../../src/postgres/scratch-cluster.ts'
import { SourceSnapshot } from '../../src/postgres/source-snapshot.ts'
import { makeWorkshop, startCoffre } from '../support/coffre.ts'
import { eventually } from '../support/patience.ts'
import { pauseDumps } from '../support/paused-dump.ts'
import { makeDatabase, sql, urlOf } from '../support/postgres.ts'
import { filesBelow } from '../support/repository-folder.ts'
import { environment, testAccess } from '../support/session.ts'

test('a snapshot older than max_snapshot_age fails the backup, and nothing of it stays', async () => {
  await using database = await makeDatabase('ageing')
  await database.sql('CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n')
  const source = { url: database.url, jobs: 2 }
  await using workshop = await makeWorkshop({ sources: { shop: { ...source, max_snapshot_age: '2s' } } })
  // Never let go: however slow this machine is, the snapshot becomes too old.
  using paused = pauseDumps()
  const options = { cwd: workshop.folder, env: paused.environment }
  const { status, stdout, stderr } = await startCoffre(['backup'], options).ended
  assert.deepEqual([status, stdout], [1, ''], stderr)
  assert.match(
    stderr,
    /error: the snapshot of shop is \S.* old .* max_snapshot_age allows 2\.0 s: while it is open, vacuum removes nothing/,
  )
  assert.match(stderr, /hint: raise max_snapshot_age or jobs of this source, or back up from a standby/)
  const kept = await filesBelow(`${workshop.folder}/repository/backups`).catch(() => [])
  assert.deepEqual(kept, [])
  await eventually('no session is left', async () => {
    const sessions = `SELECT count(*) FROM pg_stat_activity WHERE datname = '${database.name}' AND application_name LIKE 'coffre%'`
    return (await sql('postgres', sessions)) === '0'
  })
  await workshop.configure({ sources: { shop: source } })
  await workshop.json(['backup'])
})

test('a snapshot that is given up ends what is read over its own session', async () => {
  const options = { environment, applicationName: 'coffre shop', lockTimeoutMs: 10_000 }
  await using snapshot = await SourceSnapshot.take(testAccess('postgres'), options)
  const reading = snapshot.alone((session) => session.execute('SELECT pg_sleep(3600)'))
  await Promise.all([assert.rejects(reading, { code: /^ERR_/ }), snapshot[Symbol.asyncDispose]()])
})

test('a server that forgets old snapshots is named beforehand, with the setting, and the backup is made', async () => {
  await using cluster = await ScratchCluster.start({
    environment,
    signal: new AbortController().signal,
    settings: { old_snapshot_threshold: '90min', shared_buffers: '32MB' },
  })
  const url = urlOf('postgres', `host=${cluster.folder} user=postgres`)
  await using workshop = await makeWorkshop({ sources: { forgetful: { url } } })
  const { warnings } = await workshop.json(['backup'], { status: 3 })
  assert.deepEqual(warnings, [
    'old_snapshot_threshold is 90 min: a backup that takes longer fails with "snapshot too old"',
  ])
})
