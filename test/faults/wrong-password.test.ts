/**
 * Passwords of sources: a wrong one is told for what it is, and none is ever seen: in no output, in no program's arguments
 * or environment, in no file. The server asks for passwords by SCRAM over its socket.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeWorkshop, startCoffre, type Outcome, type Workshop } from '../support/coffre.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { makeDatabase, type TestDatabase } from '../support/postgres.ts'
import { filesBelow, manifestsIn } from '../support/repository-folder.ts'
import { readWatch, watching } from '../support/watch.ts'

/** With characters that mean something in a URL and in a password file. */
const password = `s3cret:\\%${randomBytes(6).toString('hex')}`
const wrong = `wr0ng:\\%${randomBytes(6).toString('hex')}`

let server: OwnServer
let database: TestDatabase
let workshop: Workshop

const urlWith = (secret: string | undefined): string =>
  `postgres://guarded${secret === undefined ? '' : `:${encodeURIComponent(secret)}`}@/${database.name}?host=${encodeURIComponent(server.socketFolder)}`

before(async () => {
  server = await startOwnServer()
  database = await makeDatabase('guarded', server.server)
  await database.sql(
    `CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '${password}'; CREATE TABLE t AS SELECT generate_series(1, 100) AS n`,
  )
  workshop = await makeWorkshop({ sources: { shop: { url: database.url, jobs: 2 } } })
  await server.askPasswordOf('guarded')
})
after(async () => {
  await workshop[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function useUrl(secret: string | undefined): Promise<void> {
  await workshop.configure({ sources: { shop: { url: urlWith(secret), jobs: 2, globals: 'all' } } })
}

/** As libpq reads it: colons and backslashes escaped. */
async function passwordFile(secret: string): Promise<string> {
  const file = join(workshop.folder, 'pgpass')
  await writeFile(file, `*:*:*:guarded:${secret.replace(/[\\:]/g, '\\$&')}\n`)
  await chmod(file, 0o600)
  return file
}

/** Also as it may be spelt: in the URL, escaped for the file, and either as strace prints it. */
function spellings(secret: string): readonly string[] {
  const written = [secret, encodeURIComponent(secret), secret.replace(/[\\:]/g, '\\$&')]
  return [...written, ...written.map((spelling) => JSON.stringify(spelling).slice(1, -1))]
}

function holds(text: string): boolean {
  return [password, wrong].flatMap(spellings).some((spelling) => text.includes(spelling))
}

function assertUnseen(text: string, where: string): void {
  assert.ok(!holds(text), `${where} holds a password`)
}

function assertRefused({ stdout, stderr }: Outcome): void {
  assert.equal(stdout, '')
  assert.match(stderr, /error: psql ended with status 2: .*password authentication failed for user "guarded"/)
  assert.match(
    stderr,
    /^coffre: hint: the server refused the login: check the user and its password \(PGPASSFILE, or the URL/m,
  )
  assertUnseen(stderr, 'stderr')
}

test('a wrong password, or none, is status 1 and says what to check; nothing is made, and it is shown nowhere', async () => {
  await useUrl(wrong)
  assertRefused(await workshop.coffre(['backup', '--verbose'], { status: 1 }))
  const { code, message, hint } = await workshop.error(['backup'], 1)
  assert.equal(code, 'ERR_CONNECT')
  assertUnseen(message + hint, 'the error document')

  await useUrl(undefined)
  const PGPASSFILE = await passwordFile(wrong)
  assertRefused(await workshop.coffre(['backup'], { status: 1, env: { PGPASSFILE } }))
  const none = await workshop.coffre(['backup'], { status: 1, env: { PGPASSFILE: '/dev/null' } })
  assert.match(none.stderr, /no password supplied[\s\S]*hint: the server refused the login/)
  assert.deepEqual(await manifestsIn(join(workshop.folder, 'repository')), [])
})

test('a restore with a wrong password is told the same way', async () => {
  await useUrl(password)
  await workshop.coffre(['backup'])
  const to = urlWith(wrong).replace(database.name, 'elsewhere')
  const outcome = await workshop.coffre(
    ['restore', 'latest', '--to', to, '--identity', workshop.identity()],
    { status: 1 },
  )
  assertRefused(outcome)
})

for (const way of ['in the URL', 'in a password file'] as const) {
  test(`the right password ${way} is in no argument, no environment, no file and no output of a backup`, async () => {
    await useUrl(way === 'in the URL' ? password : undefined)
    const env =
      way === 'in the URL' ? { PGPASSFILE: '/dev/null' } : { PGPASSFILE: await passwordFile(password) }
    const log = join(workshop.folder, 'watch')
    const run = await startCoffre(['backup', '--verbose'], {
      cwd: workshop.folder,
      env,
      under: watching(log),
    }).ended
    assert.equal(run.status, 0, run.stderr)
    const { programs, writes } = readWatch(log)
    for (const program of ['psql', 'pg_dump', 'pg_dumpall'])
      assert.ok(
        programs.some((line) => line.includes(`/${program}"`)),
        `${program} was not seen`,
      )
    assertUnseen(programs.join('\n'), 'a program that was started')
    assertUnseen(run.stdout + run.stderr, 'the output')
    // Only a nameless file in memory may hold it, for libpq to read.
    const holding = writes.filter(({ text }) => holds(text))
    for (const { path, nameless } of holding)
      assert.ok(nameless && path.startsWith('/dev/shm/coffre-'), `${path} was given a password`)
    assert.equal(holding.length > 0, way === 'in the URL')
    const repository = join(workshop.folder, 'repository')
    for (const name of await filesBelow(repository))
      assertUnseen(await readFile(join(repository, name), 'latin1'), name)
  })
}
