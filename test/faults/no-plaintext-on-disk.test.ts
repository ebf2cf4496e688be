/**
 * No plaintext on disk during a backup, on any path, success or failure. Watched, not assumed: every write of coffre and
 * its children is looked at as it is made, and every file that is left afterwards. The data, and the names of a table, a
 * column and a role, carry a word that must be in none of them.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, startCoffre, type Outcome, type Workshop } from '../support/coffre.ts'
import { holdBackup, outOfLine } from '../support/held-backup.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import { descendantsOf } from '../support/processes.ts'
import { filesBelow } from '../support/repository-folder.ts'
import { readWatch, watching, type Watched } from '../support/watch.ts'

/** Lower case, so that it stands in names as it is; random, so that it stands nowhere by chance. */
const secret = `klartext${randomBytes(6).toString('hex')}`

let database: TestDatabase
let workshop: Workshop
let runs = 0

before(async () => {
  database = await makeDatabase('watched')
  await database.sql(`CREATE ROLE ${secret}_role PASSWORD '${secret}'; CREATE SCHEMA ${secret}_schema AUTHORIZATION ${secret}_role;
    CREATE TABLE ${secret}_schema.${secret}_table (${secret}_column text, n serial);
    INSERT INTO ${secret}_schema.${secret}_table SELECT '${secret} ' || md5(g::text) FROM generate_series(1, 2000) g;
    CREATE TABLE z AS SELECT '${secret}' || ${outOfLine} AS text; COMMENT ON TABLE z IS '${secret}';
    SELECT lo_from_bytea(0, convert_to(repeat('${secret}', 1000), 'UTF8'));`)
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
  for (const name of ['home', 'tmp']) mkdirSync(join(workshop.folder, name))
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await sql('postgres', `DROP ROLE IF EXISTS ${secret}_role`)
})

const repository = (): string => join(workshop.folder, 'repository')

interface Run {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly under: readonly string[]
  readonly log: string
}

/** HOME and TMPDIR are folders of this test: whatever is left there is found. */
function newRun(): Run {
  runs += 1
  const log = join(tmpdir(), `coffre-watch-${process.pid}-${runs}`)
  const env = { HOME: join(workshop.folder, 'home'), TMPDIR: join(workshop.folder, 'tmp') }
  return { cwd: workshop.folder, env, under: watching(log), log }
}

function finish({ log }: Run): Watched {
  const watched = readWatch(log)
  rmSync(log)
  return watched
}

function holders(watched: Watched): readonly string[] {
  return watched.writes.filter(({ text }) => text.includes(secret)).map(({ path }) => path)
}

/** Files that hold the word, of all that were written to and all that are there. */
async function filesWithSecret(): Promise<readonly string[]> {
  const found: string[] = []
  for (const folder of [workshop.folder, '/dev/shm']) {
    for (const name of await filesBelow(folder)) {
      const bytes = readFileSync(join(folder, name), 'latin1')
      if (bytes.includes(secret)) found.push(join(folder, name))
    }
  }
  return found
}

/** Everything in the repository is either clear text that tells nothing, or OpenPGP from its first byte to its last. */
async function assertSealed(): Promise<void> {
  for (const name of await filesBelow(repository())) {
    const path = join(repository(), name)
    if (/\.(json|asc|md)$/.test(name)) continue
    if (statSync(path).size === 0 && name.startsWith('.partial/')) continue
    const partial = name.startsWith('.partial/')
    const [packets, ...others] = listPackets(path, partial)
    assert.equal(others.length, 0)
    const whole = partial ? /^(pubkey( pubkey)*( encrypted data)?)?$/ : /^pubkey( pubkey)* encrypted data$/
    assert.match(packets ?? '', whole, `${name} is not a sealed artifact`)
  }
}

/** The kinds of packets as gpg lists them; a partial file may end anywhere. */
function listPackets(path: string, partial: boolean): readonly string[] {
  const words = ['--batch', '--homedir', join(workshop.folder, 'tmp'), '--list-packets', path]
  let listed: string
  try {
    listed = execFileSync('gpg', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch (error) {
    // It cannot decrypt, having no key, and says so by its status after having listed the outer packets.
    listed = String(Reflect.get(Object(error), 'stdout'))
  }
  const kinds = [...listed.matchAll(/^:(pubkey|encrypted data|[a-z ]+?)(?: enc)? packet/gm)].map(
    ([, kind]) => kind,
  )
  assert.ok(kinds.length > 0 || partial, `${path}: gpg lists no packets`)
  return [kinds.join(' ')]
}

async function assertNoPlaintext(watched: Watched): Promise<void> {
  assert.deepEqual(holders(watched), [])
  assert.deepEqual(watched.unseen, [])
  // The whole disk: nothing but the repository is written to at all, and nameless files in memory only.
  const elsewhere = watched.writes.filter(
    ({ path, nameless }) =>
      !path.startsWith(`${repository()}/`) && !(nameless && path.startsWith('/dev/shm/')),
  )
  assert.deepEqual(
    elsewhere.map(({ path }) => path),
    [],
  )
  assert.deepEqual(await filesWithSecret(), [])
  await assertSealed()
}

/** That the watch saw every byte: what was written to each new file adds up to what is there now. */
async function assertEverythingSeen(watched: Watched, filesBefore: readonly string[]): Promise<void> {
  const totals = new Map<string, number>()
  for (const { path, bytes } of watched.writes) totals.set(path, (totals.get(path) ?? 0) + bytes)
  const files = (await filesBelow(repository())).filter((name) => !filesBefore.includes(name))
  const sizes = files.map((name) => statSync(join(repository(), name)).size)
  assert.deepEqual(
    [...totals.values()].toSorted((a, b) => a - b),
    sizes.toSorted((a, b) => a - b),
  )
}

function assertEnded({ status, stderr, stdout }: Outcome, expected: number | null): void {
  assert.equal(status, expected, stderr)
  // stdout and stderr may be sent to a file by whoever runs coffre.
  assert.ok(!stdout.includes(secret) && !stderr.includes(secret), stderr)
}

/** Under strace coffre is a child of what was started. */
function coffreBelow(pid: number | undefined): number {
  const node = descendantsOf(pid ?? 0).find(({ name }) => /^(node|MainThread)/.test(name))
  return node?.pid ?? assert.fail('coffre does not run')
}

test('the watch can fail: a plain file, a file for a moment, a nameless one and a mapped one are all found', async () => {
  const run = newRun()
  const script = join(workshop.folder, 'leak')
  writeFileSync(
    script,
    `printf %s ${secret} >"$TMPDIR/kept"; printf %s ${secret} >"$TMPDIR/gone"; rm "$TMPDIR/gone"
     exec 9<>"$TMPDIR/nameless"; rm "$TMPDIR/nameless"; printf %s ${secret} >&9; psql -X -d '' -c '' 2>/dev/null || true`,
  )
  const [command = '', ...words] = run.under
  execFileSync(command, [...words, 'sh', script], { env: { ...process.env, ...run.env } })
  const watched = finish(run)
  const tmp = join(workshop.folder, 'tmp')
  assert.deepEqual(
    holders(watched),
    ['kept', 'gone', 'nameless'].map((name) => join(tmp, name)),
  )
  assert.deepEqual(await filesWithSecret(), [script, join(tmp, 'kept')])
  await assert.rejects(assertNoPlaintext(watched))
  for (const path of [script, join(tmp, 'kept')]) rmSync(path)
  assert.deepEqual(await filesWithSecret(), [])
})

test('a backup that succeeds writes sealed artifacts, and nothing else anywhere', async () => {
  const files = await filesBelow(repository())
  const run = newRun()
  const { id, tables } = JSON.parse(await succeed(run, ['backup', '--json'])) as {
    id: string
    tables: number
  }
  assert.equal(tables, 2)
  const watched = finish(run)
  assert.ok(
    watched.programs.some((line) => line.includes('pg_dump')) &&
      watched.programs.some((line) => line.includes('psql')),
  )
  await assertEverythingSeen(watched, files)
  await assertNoPlaintext(watched)
  // So that the assertions above mean something: with an identity the word is there.
  const shown = await workshop.coffre(['show', id, '--inventory', '--identity', workshop.identity()])
  assert.ok(shown.stdout.includes(secret))
})

async function succeed(run: Run, words: readonly string[]): Promise<string> {
  const outcome = await startCoffre(words, run).ended
  assert.equal(outcome.status, 0, outcome.stderr)
  return outcome.stdout
}

for (const [what, signal, status] of [
  ['is interrupted', 'SIGTERM', 130],
  // As strace ends, which dies as its child did.
  ['is killed', 'SIGKILL', null],
] as const) {
  test(`a backup that ${what} in the middle of its rows leaves no plaintext`, async () => {
    const run = newRun()
    await using held = await holdBackup(database, 'z', ['backup'], run)
    process.kill(coffreBelow(held.child.pid), signal)
    await held.release()
    assertEnded(await held.ended, status)
    await assertNoPlaintext(finish(run))
  })
}

test('a restore writes nothing but its definitions, and those to memory, without a name', async () => {
  await succeed(newRun(), ['backup'])
  const run = newRun()
  const to = ['--to', database.restored.url, '--identity', workshop.identity()]
  await succeed(run, ['restore', 'latest', ...to])
  const watched = finish(run)
  assert.ok(watched.programs.some((line) => line.includes('pg_restore')))
  assert.ok(holders(watched).length > 0)
  for (const { path, nameless } of watched.writes) assert.ok(nameless && path.startsWith('/dev/shm/'), path)
  assert.deepEqual(watched.unseen, [])
  assert.deepEqual(await filesWithSecret(), [])
})
