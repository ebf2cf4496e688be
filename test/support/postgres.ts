/**
 * The tests' own PostgreSQL, by plain psql: databases made and dropped, SQL run, URLs for coffre. `server` is always
 * `host=… user=…`, a server reached by its socket; the one that `scripts/test` started when it is left out.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'

function base(): string {
  const conninfo = process.env['COFFRE_TEST_PG']
  assert.ok(conninfo, 'COFFRE_TEST_PG is not set: run the tests by npm test')
  return conninfo
}

/** `host=… user=… dbname=…` for psql. */
export function conninfoOf(database: string, server = base()): string {
  return `${server} dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** For a configuration or --to. */
export function urlOf(database: string, server = base(), user = 'postgres'): string {
  return `postgres://${user}@/${encodeURIComponent(database)}?host=${encodeURIComponent(socketFolder(server))}`
}

/** The server's socket folder. */
export function socketFolder(server = base()): string {
  return /host=(\S+)/.exec(server)?.[1] ?? ''
}

/** Runs SQL and returns what psql printed, one row a line, columns by `|`. Fails the test on an error. */
export async function sql(
  database: string,
  text: string,
  args: readonly string[] = [],
  server = base(),
): Promise<string> {
  const options = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...args]
  const psql = spawn('psql', [...options, '-d', conninfoOf(database, server)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  psql.stdout.on('data', (bytes: Buffer) => (out += bytes.toString('utf8')))
  psql.stderr.on('data', (bytes: Buffer) => (err += bytes.toString('utf8')))
  psql.stdin.end(text)
  const [status] = (await once(psql, 'close')) as [number]
  assert.equal(status, 0, `${text.slice(0, 300)}\n${err}`)
  return out.trimEnd()
}

export interface DatabaseAddress {
  readonly name: string
  readonly url: string
  readonly conninfo: string
}

export interface TestDatabase extends DatabaseAddress, AsyncDisposable {
  /** As `conninfoOf` takes it. */
  readonly server: string
  /** Its sibling `NAME_restored`, for a restore to make. */
  readonly restored: DatabaseAddress
  sql(text: string): Promise<string>
}

/**
 * A new, empty database; dropped at the end, with its restored sibling if there is one. `like`: what follows CREATE
 * DATABASE … TEMPLATE template0.
 */
export async function makeDatabase(
  label: string,
  server = base(),
  like = "ENCODING 'UTF8'",
): Promise<TestDatabase> {
  const name = `${label}_${randomUUID().slice(0, 8)}`
  await sql('postgres', `CREATE DATABASE "${name}" TEMPLATE template0 ${like}`, [], server)
  const at = (database: string): DatabaseAddress => ({
    name: database,
    url: urlOf(database, server),
    conninfo: conninfoOf(database, server),
  })
  return {
    ...at(name),
    server,
    restored: at(`${name}_restored`),
    sql: (text) => sql(name, text, [], server),
    [Symbol.asyncDispose]: async () => {
      const both = [name, `${name}_restored`]
      const drops = both.map((one) => `DROP DATABASE IF EXISTS "${one}" WITH (FORCE);`)
      await sql('postgres', drops.join('\n'), [], server)
    },
  }
}
