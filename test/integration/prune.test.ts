/** prune, hold and release as people run them, on real backups in a folder and in a bucket of the real S3 server. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3'
import { openS3Store } from '../../src/storage/s3.ts'
import { keysOf } from '../contract/contract-materials.ts'
import { makeS3TestBucket } from '../contract/s3-test-bucket.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'
import { addBackup, foundRepository, pruneAt } from '../support/pruning.ts'
import { manifestsIn } from '../support/repository-folder.ts'

const operator = { key_file: 'keys/operator-secret.asc' }
const lists = (
  document: Record<string, unknown>,
  name: string,
): readonly { id: string; reasons: string[] }[] => document[name] as { id: string; reasons: string[] }[]

test('two backups of one day: one stays, with reasons; a hold, a guard and a dry run keep the other', async () => {
  await using database = await makeDatabase('pruned')
  await using workshop = await makeWorkshop({
    sources: { app: { url: database.url } },
    more: { operator, retention: { daily: 1, min_keep: 1, max_remove_fraction: 0.5 } },
  })
  const folder = join(workshop.folder, 'repository')
  const first = (await workshop.json(['backup']))['id'] as string
  const second = (await workshop.json(['backup']))['id'] as string
  const dry = await workshop.json(['prune', '--dry-run'])
  assert.deepEqual(
    lists(dry, 'remove').map(({ id }) => id),
    [first],
  )
  assert.match(lists(dry, 'remove')[0]?.reasons.join() ?? '', new RegExp(`daily: ${second} is newer in`))
  assert.equal((await manifestsIn(folder)).length, 2)

  await workshop.coffre(['hold', first, '--reason', 'case 7'])
  const held = await workshop.json(['prune'])
  assert.deepEqual(held['held'], [{ source: 'app', id: first, until: null, reason: 'case 7' }])
  assert.equal((await manifestsIn(folder)).length, 2)
  const listed = (await workshop.json(['list']))['backups'] as { id: string; held: boolean }[]
  assert.deepEqual(
    listed.map(({ held: is }) => is),
    [true, false],
  )
  await workshop.coffre(['release', first])
  await workshop.error(['release', first], 2)

  const refused = await workshop.json(['prune', '--max-remove-fraction', '0.2'], { status: 11 })
  assert.equal(lists(refused, 'refused').length, 1)
  assert.equal((await manifestsIn(folder)).length, 2)

  const done = await workshop.coffre(['prune'])
  assert.match(done.stdout, new RegExp(`remove  ${first}`))
  assert.deepEqual(await manifestsIn(folder), [`app/${second}`])
  assert.ok(!existsSync(join(folder, 'backups/app', first)))
  await workshop.coffre(['verify', '--all'])
  await workshop.coffre(['backup'])
  await workshop.coffre(['verify', '--all'])
})

test('without a retention, or without an operator’s key, nothing is pruned and the line to add is said', async () => {
  await using database = await makeDatabase('pruned')
  await using workshop = await makeWorkshop({ sources: { app: { url: database.url } }, more: { operator } })
  assert.match((await workshop.error(['prune'], 2)).hint, /retention: \{daily: 7/)
  await workshop.configure({ retention: {}, operator: undefined })
  assert.match((await workshop.error(['prune'], 2)).hint, /operator: \{key_file/)
  await workshop.coffre(['prune', '--dry-run'])
  await workshop.configure({ operator })
  const key = join(workshop.folder, operator.key_file)
  await rename(join(workshop.folder, 'keys/host-secret.asc'), key)
  assert.equal((await workshop.error(['prune'], 2)).code, 'ERR_PIN')
})

test('in a bucket of a real S3 server: what goes is gone, what stays is whole, unfinished uploads are given back', async () => {
  const bucket = await makeS3TestBucket()
  try {
    const store = await openS3Store({ ...bucket.settings, prefix: 'db' })
    const { repository } = await foundRepository(store)
    for (let night = 0; night < 11; night += 1) await addBackup(repository, night)
    const young = await pruneAt(repository, 10)
    assert.equal(young.remove.length, 4)
    const keys = await keysOf(store, 'backups/')
    assert.equal(keys.filter((key) => key.endsWith('/manifest.json')).length, 7)
    for (const { id } of young.remove) assert.ok(!keys.some((key) => key.includes(id)))
    for (const { source, id } of young.keep)
      await repository.read({
        source,
        id: (await repository.refs(source)).find((ref) => ref.id === id)?.id ?? assert.fail(),
      })
    const begin = new CreateMultipartUploadCommand({ Bucket: bucket.name, Key: 'db/backups/koprogo/orphan' })
    await bucket.client.send(begin)
    // The server's clock dates uploads.
    assert.equal(await store.sweepUnfinished(new Date(Date.now() - 3_600_000)), 0)
    assert.equal(await store.sweepUnfinished(new Date(Date.now() + 3_600_000)), 1)
    assert.deepEqual(await bucket.openUploads(), [])
  } finally {
    await bucket.close()
  }
})
