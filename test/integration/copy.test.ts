/**
 * A second repository: sealed backups brought there byte for byte, by themselves and in the same run as a backup, resumed,
 * checked on the way, restorable from there alone; and a second one that is away is told, not silence.
 */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { filesBelow, manifestsIn } from '../support/repository-folder.ts'

const both = { main: { directory: 'repository' }, second: { directory: 'second' } }

async function started(
  database: TestDatabase,
): Promise<{ workshop: Workshop; main: string; second: string }> {
  await database.sql('create table t (n int primary key); insert into t select generate_series(1, 5000)')
  const workshop = await makeWorkshop({ sources: { app: { url: database.url } }, repositories: both })
  const second = join(workshop.folder, 'second')
  await mkdir(second, { mode: 0o700 })
  return { workshop, main: join(workshop.folder, 'repository'), second }
}

/** What both must have alike. */
async function sealedFiles(repository: string): Promise<Readonly<Record<string, string>>> {
  const files = (await filesBelow(repository)).filter((path) =>
    /^(backups|keyrings)\/|^coffre\.json$/.test(path),
  )
  const read = async (path: string) =>
    [path, (await readFile(join(repository, path))).toString('base64')] as const
  return Object.fromEntries(await Promise.all(files.map(read)))
}

test('all backups come over byte for byte; again, nothing is done; what is new comes next; it restores from there alone', async () => {
  await using database = await makeDatabase('copied')
  const { workshop, main, second } = await started(database)
  await using _ = workshop
  await workshop.coffre(['backup'])
  await workshop.coffre(['backup'])
  const copied = await workshop.json(['copy', '--to', 'second'])
  assert.equal((copied['copied'] as unknown[]).length, 2)
  assert.deepEqual(await sealedFiles(second), await sealedFiles(main))
  const again = await workshop.json(['copy', '--to', 'second'])
  assert.deepEqual([again['copied'], again['present']], [[], 2])
  await workshop.coffre(['verify', '--all', '--repository', 'second'])
  await rename(main, `${main}-lost`)
  await workshop.coffre([
    'restore',
    'latest',
    '--repository',
    'second',
    '--identity',
    workshop.identity(),
    '--to',
    database.restored.url,
  ])
  await assertSameDatabase(database.conninfo, database.restored.conninfo)
})

test('a copy that was killed midway is finished by the next, and a damaged rest of it is written anew', async () => {
  await using database = await makeDatabase('resumed')
  const { workshop, main, second } = await started(database)
  await using _ = workshop
  await workshop.coffre(['backup'])
  await workshop.coffre(['copy', '--to', 'second'])
  const [id = ''] = await readdir(join(second, 'backups/app'))
  const folder = join(second, 'backups/app', id)
  for (const name of ['manifest.json', 'manifest.json.asc']) await rm(join(folder, name))
  const [rows = ''] = await readdir(join(folder, 'rows'))
  const bytes = await readFile(join(folder, 'rows', rows))
  bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1
  await writeFile(join(folder, 'rows', rows), bytes)
  assert.deepEqual(await manifestsIn(second), [])
  await workshop.coffre(['copy', '--to', 'second'])
  assert.deepEqual(await sealedFiles(second), await sealedFiles(main))
})

test('a damaged backup is not copied, and told; the others are', async () => {
  await using database = await makeDatabase('damaged')
  const { workshop, main, second } = await started(database)
  await using _ = workshop
  const bad = (await workshop.json(['backup']))['id'] as string
  const good = (await workshop.json(['backup']))['id'] as string
  const file = join(main, 'backups/app', bad, 'rows/0001.sql.zst.gpg')
  const bytes = await readFile(file)
  bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1
  await writeFile(file, bytes)
  const result = await workshop.json(['copy', '--to', 'second'], { status: 3 })
  assert.deepEqual(
    (result['failed'] as { id: string }[]).map(({ id }) => id),
    [bad],
  )
  assert.deepEqual(await manifestsIn(second), [`app/${good}`])
})

test('backup copies in the same run; a second repository that is away makes it degraded, never a failure', async () => {
  await using database = await makeDatabase('twice')
  const { workshop, main, second } = await started(database)
  await using _ = workshop
  await workshop.configure({ repositories: { ...both, main: { ...both.main, copy_to: ['second'] } } })
  const first = await workshop.json(['backup'])
  assert.deepEqual(first['copies'], [{ repository: 'second', ok: true, message: null }])
  assert.deepEqual(await sealedFiles(second), await sealedFiles(main))
  await rename(second, `${second}-away`)
  const degraded = await workshop.json(['backup'], { status: 3 })
  assert.match(JSON.stringify(degraded['copies']), /"ok":false.*does not exist/)
  assert.equal((await manifestsIn(main)).length, 2)
  await rename(`${second}-away`, second)
  await workshop.coffre(['backup'])
  assert.equal((await manifestsIn(second)).length, 3)
})

test('another repository is never taken for a second one', async () => {
  await using database = await makeDatabase('other')
  const { workshop } = await started(database)
  await using _ = workshop
  await using stranger = await makeWorkshop({ sources: { app: { url: database.url } } })
  await workshop.configure({
    repositories: { ...both, second: { directory: join(stranger.folder, 'repository') } },
  })
  await workshop.coffre(['backup'])
  assert.equal((await workshop.error(['copy', '--to', 'second'], 1)).code, 'ERR_EXISTS')
  await workshop.error(['copy', '--to', 'main'], 2)
})
