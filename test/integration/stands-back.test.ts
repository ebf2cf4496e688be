/** What a backup leaves to others: the processor's time, and the line. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openS3Store } from '../../src/storage/s3.ts'
import { makeS3TestBucket } from '../contract/s3-test-bucket.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'

test('with nice: 7, every program that a backup starts stands back, also those of its lanes', async () => {
  await using database = await makeDatabase('nice')
  await database.sql('CREATE TABLE t AS SELECT generate_series(1, 10) AS n')
  await using workshop = await makeWorkshop({ sources: { shop: { url: database.url } }, more: { nice: 7 } })
  const log = join(workshop.folder, 'nice.log')
  const script = join(workshop.folder, 'client')
  await writeFile(script, `#!/bin/sh\necho "$(nice) $(basename "$1")" >> '${log}'\nexec "$@"\n`, {
    mode: 0o755,
  })
  const [host = '', user = ''] = [/host=([^ ]+)/, /user=([^ ]+)/].map(
    (part) => part.exec(database.conninfo)?.[1],
  )
  await workshop.configure({
    sources: { shop: { run: [script], database: database.name, user } },
    nice: 7,
  })
  await workshop.coffre(['backup'], { env: { PGHOST: host } })
  const said = (await readFile(log, 'utf8')).trim().split('\n')
  assert.deepEqual([...new Set(said.map((line) => line.split(' ')[0]))], ['7'])
  assert.ok(
    said.some((line) => line.endsWith('pg_dump')) && said.filter((line) => line.endsWith('psql')).length > 2,
    said.join('\n'),
  )
})

test('with an upload limit, uploads to a bucket wait for their turn, all of them together', async () => {
  const bucket = await makeS3TestBucket()
  try {
    const store = await openS3Store({ ...bucket.settings, uploadBytesPerSecond: 1_000_000 })
    const startedMs = performance.now()
    async function* bytes(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(300_000, 'x')
    }
    await Promise.all(['a', 'b', 'c'].map((key) => store.put(key, bytes())))
    assert.ok(performance.now() - startedMs >= 600, 'the third begins when the first two are due')
  } finally {
    await bucket.close()
  }
})
