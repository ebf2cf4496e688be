/** The tests' own PostgreSQL, by plain psql: databases made and dropped, SQL run, URLs for coffre. */
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
export function conninfoOf(database: string): string {
  return `${base()} dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** For a configuration or --to. */
export function urlOf(database: string): string {
  const [, host = ''] = /host=(\S+)/.exec(base()) ?? []
  return `postgres://postgres@/${encodeURIComponent(database)}?host=${encodeURIComponent(host)}`
}

/** The tests' server's socket folder. */
export function socketFolder(): string {
  return /host=(\S+)/.exec(base())?.[1] ?? ''
}

/** Runs SQL and returns what psql printed, one row a line, columns by `|`. Fails the test on an error. */
export async function sql(database: string, text: string, args: readonly string[] = []): Promise<string> {
  const psql = spawn(
    'psql',
    ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...args, '-d', conninfoOf(database)],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  )
  let out = ''
  let err = ''
  psql.stdout.on('data', (bytes: Buffer) => (out += bytes.toString('utf8')))
  psql.stderr.on('data', (bytes: Buffer) => (err += bytes.toString('utf8')))
  psql.stdin.end(text)
  const [status] = (await once(psql, 'close')) as [number]
  assert.equal(status, 0, `${text.slice(0, 300)}\n${err}`)
  return out.trimEnd()
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string
  readonly url: string
  sql(text: string): Promise<string>
}

/** A new, empty UTF-8 database; dropped at the end, with a restored sibling `NAME_restored` if there is one. */
export async function makeDatabase(label: string): Promise<TestDatabase> {
  const name = `${label}_${randomUUID().slice(0, 8)}`
  await sql('postgres', `CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'UTF8'`)
  return {
    name,
    url: urlOf(name),
    sql: (text) => sql(name, text),
    [Symbol.asyncDispose]: async () => {
      await sql(
        'postgres',
        `DROP DATABASE IF EXISTS "${name}" WITH (FORCE);\nDROP DATABASE IF EXISTS "${name}_restored" WITH (FORCE);`,
      )
    },
  }
}
