/** A repository on a disk that is full, or becomes so while a backup is written to it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { home, makeWorkshop, type Outcome } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'

interface Told {
  readonly files: readonly string[]
  readonly tooSmall: Outcome
  readonly afterTooSmall: readonly string[]
  readonly full: Outcome
  readonly listedWhenFull: Outcome
  readonly afterFull: readonly string[]
  readonly withRoom: Outcome
  readonly verified: Outcome
}

function assertStoreFull({ status, stdout, stderr }: Outcome): void {
  assert.equal(status, 1, stderr)
  assert.equal(stdout, '')
  const { error } = JSON.parse(stderr) as { error: { code: string; message: string; hint: string } }
  assert.equal(error.code, 'ERR_STORE_FULL')
  assert.match(error.message, /^cannot write \S+ in .*repository: ENOSPC$/)
  assert.match(error.hint, /make room/)
}

test('a disk that fills up: status 1, no backup, no partial file; with room again the next run works', async () => {
  await using database = await makeDatabase('full')
  // Digits of random numbers do not compress well: about 5 MB are left of them.
  await database.sql(
    `SELECT setseed(0.5); CREATE TABLE noise AS SELECT random() AS a, random() AS b, random() AS c FROM generate_series(1, 200000)`,
  )
  await using workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
  await rename(join(workshop.folder, 'repository'), join(workshop.folder, 'founded'))
  await mkdir(join(workshop.folder, 'repository'))
  // A mount namespace of its own; for who is not root with a user namespace, in which anybody may mount.
  const child = join(home, 'test/faults/full-disk-mounted.ts')
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', child, workshop.folder]
  const words = [...(process.geteuid?.() === 0 ? [] : ['--map-root-user']), '--mount', ...node]
  const { stdout } = await promisify(execFile)('unshare', words)
  const told = JSON.parse(stdout) as Told

  assertStoreFull(told.tooSmall)
  // Nothing is left of it but the traces of its lease: it takes no more room.
  const withoutLeases = (files: readonly string[]): readonly string[] =>
    files.filter((file) => !file.startsWith('leases/') && file !== '.filler')
  assert.deepEqual(withoutLeases(told.afterTooSmall), told.files)
  assertStoreFull(told.full)
  assert.deepEqual(withoutLeases(told.afterFull), told.files)
  assert.equal(told.listedWhenFull.status, 0)
  assert.deepEqual(JSON.parse(told.listedWhenFull.stdout), { backups: [] })
  assert.equal(told.withRoom.status, 0, told.withRoom.stderr)
  assert.equal((JSON.parse(told.withRoom.stdout) as { rows: number }).rows, 200_000)
  assert.equal(told.verified.status, 0, told.verified.stdout)
  const { backups } = JSON.parse(told.verified.stdout) as { backups: unknown[] }
  assert.equal(backups.length, 1)
})
