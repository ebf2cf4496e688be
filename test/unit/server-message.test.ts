/** What real servers and programs say when they fail, and what people are told: the kind, the hint, never a row's data. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { classifyFailure, lostPart } from '../../src/postgres/server-message.ts'
import { holds } from '../support/property.ts'

type Case = readonly [
  what: string,
  program: string,
  status: number | string,
  stderr: string,
  code: string,
  hint: RegExp,
]

/** As PostgreSQL 15 to 17, docker, kubectl and sudo wrote them. */
const said: readonly Case[] = [
  [
    'a wrong password',
    'psql',
    2,
    'psql: error: connection to server at "127.0.0.1", port 5432 failed: FATAL:  password authentication failed for user "backup"\n',
    'ERR_CONNECT',
    /user and its password/,
  ],
  [
    'no password',
    'psql',
    2,
    'psql: error: connection to server at "127.0.0.1", port 5432 failed: fe_sendauth: no password supplied\n',
    'ERR_CONNECT',
    /user and its password/,
  ],
  [
    'an address that may not connect',
    'psql',
    2,
    'psql: error: connection to server at "10.0.0.1", port 5432 failed: FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "a", database "b", no encryption\n',
    'ERR_CONNECT',
    /refused the login/,
  ],
  [
    'a database that is not there',
    'psql',
    2,
    'psql: error: connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: FATAL:  database "nope" does not exist\n',
    'ERR_CONNECT',
    /psql -l/,
  ],
  [
    'nobody at the port',
    'psql',
    2,
    'psql: error: connection to server at "127.0.0.1", port 5 failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n',
    'ERR_CONNECT',
    /server is up and reachable/,
  ],
  [
    'a name without address',
    'pg_dump',
    1,
    'pg_dump: error: could not translate host name "db.example" to address: Name or service not known\n',
    'ERR_CONNECT',
    /server is up and reachable/,
  ],
  [
    'a lock not to be had',
    'psql',
    3,
    'ERROR:  55P03: canceling statement due to lock timeout\nLOCATION:  ProcessInterrupts, postgres.c:3285\n',
    'ERR_POSTGRES',
    /exclusive lock/,
  ],
  [
    'too many tables for the lock table',
    'psql',
    3,
    'ERROR:  53200: out of shared memory\nHINT:  You might need to increase max_locks_per_transaction.\nLOCATION:  LockAcquireExtended, lock.c:1024\n',
    'ERR_POSTGRES',
    /raise max_locks_per_transaction/,
  ],
  [
    'row security in the way',
    'psql',
    3,
    'ERROR:  42501: query would be affected by row-level security policy for table "tickets"\nLOCATION:  check_enable_rls, rls.c:135\n',
    'ERR_POSTGRES',
    /BYPASSRLS/,
  ],
  [
    'a table that may not be read',
    'psql',
    3,
    'ERROR:  42501: permission denied for table users\nLOCATION:  aclcheck_error, aclchk.c:2955\n',
    'ERR_POSTGRES',
    /pg_read_all_data/,
  ],
  [
    'programs older than the server',
    'pg_dump',
    1,
    'pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 17.2; pg_dump version: 15.10\n',
    'ERR_PROGRAM',
    /older than the server/,
  ],
  [
    'an archive of a newer pg_dump',
    'pg_restore',
    1,
    'pg_restore: error: unsupported version (1.16) in file header\n',
    'ERR_PROGRAM',
    /older than the server/,
  ],
  [
    'a mark of an updated server, written down by a pg_dump that was not updated',
    'pg_restore',
    1,
    'pg_restore: error: could not execute query: ERROR:  unrecognized parameter "pg_attver"\nCommand was: ALTER TABLE ONLY public.q ALTER COLUMN a SET (pg_attver=22117712);\n',
    'ERR_DESTINATION',
    /same major version with that update/,
  ],
  [
    'a full disk of the server',
    'psql',
    3,
    'ERROR:  53100: could not extend file "base/16384/16390": No space left on device\nHINT:  Check free disk space.\n',
    'ERR_POSTGRES',
    /disk of the server is full/,
  ],
  [
    'a server that shut down',
    'psql',
    2,
    'FATAL:  57P01: terminating connection due to administrator command\nserver closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\nconnection to server was lost\n',
    'ERR_POSTGRES',
    /server ended the session/,
  ],
  [
    'a server that crashed',
    'psql',
    2,
    'server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\nconnection to server was lost\n',
    'ERR_POSTGRES',
    /server ended the session/,
  ],
  [
    'an error without a rule of its own',
    'psql',
    3,
    'ERROR:  42P01: relation "public.nope" does not exist\nLOCATION:  parserOpenTable, parse_relation.c:1392\n',
    'ERR_POSTGRES',
    /the server said this/,
  ],
  ['nothing at all', 'psql', 'SIGKILL', '', 'ERR_PROGRAM', /command prefix/],
  [
    'a prefix whose command is not there',
    'psql',
    127,
    'env: ‘psqlx’: No such file or directory\n',
    'ERR_PROGRAM',
    /command prefix/,
  ],
  [
    'docker without its program inside',
    'psql',
    126,
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "psql": executable file not found in $PATH: unknown\n',
    'ERR_PROGRAM',
    /command prefix/,
  ],
  [
    'docker without the container',
    'psql',
    1,
    'Error response from daemon: No such container: koprogo-postgres\n',
    'ERR_PROGRAM',
    /command prefix/,
  ],
  [
    'docker without its daemon',
    'pg_dump',
    1,
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n',
    'ERR_PROGRAM',
    /command prefix/,
  ],
  [
    'kubectl without the pod',
    'psql',
    1,
    'Error from server (NotFound): pods "postgres-0" not found\n',
    'ERR_PROGRAM',
    /command prefix/,
  ],
  ['sudo that wants to ask', 'psql', 1, 'sudo: a password is required\n', 'ERR_PROGRAM', /command prefix/],
]

for (const [what, program, status, stderr, code, hint] of said) {
  test(`${what}: ${code}`, () => {
    const error = classifyFailure(program, status, stderr)
    assert.equal(error.code, code, error.message)
    assert.match(error.hint, hint)
    assert.ok(error.message.startsWith(`${program} ended with `), error.message)
    assert.match(
      error.message,
      typeof status === 'number' ? new RegExp(`with status ${status}: `) : /with SIGKILL: /,
    )
  })
}

test('the message is what the server said first, without what stands around it', () => {
  const { message } = classifyFailure(
    'psql',
    3,
    'WARNING:  01000: something else\nERROR:  22P02: invalid input\nCONTEXT:  COPY t, line 1, column a: "secret"\nLOCATION:  x, y.c:1\nERROR:  25P02: current transaction is aborted\n',
  )
  assert.equal(message, 'psql ended with status 3: ERROR:  22P02: invalid input')
})

/** Where PostgreSQL puts a row's values; a value may hold newlines, and then anything. */
const around = ['DETAIL', 'CONTEXT', 'QUERY', 'STATEMENT', 'LINE 1']

test('nothing of a row that stands in DETAIL or CONTEXT is told, whatever is in it', async (t) => {
  const row = fc.string({ unit: 'binary', maxLength: 60 }).map((text) => `secret ${text}\nsecret ${text}`)
  const spiced = fc
    .tuple(row, fc.constantFrom('', '\nERROR:  42501: permission denied secret', '\npsql: error: secret'))
    .map((parts) => parts.join(''))
  const property = fc.property(spiced, fc.constantFrom(...around), (value, field) => {
    const stderr = `ERROR:  23514: new row violates check constraint "c"\n${field}:  Failing row contains (${value}).\nLOCATION:  x, y.c:1\n`
    const { message, code, hint } = classifyFailure('psql', 3, stderr)
    assert.equal(message, 'psql ended with status 3: ERROR:  23514: new row violates check constraint "c"')
    assert.deepEqual([code, /the server said this/.test(hint)], ['ERR_POSTGRES', true])
  })
  await holds(t, property, 300)
})

test('where the middle of a long message was lost, its rest shows nothing, and the error after it does', () => {
  const warning = `pg_dump: warning: something${lostPart}secret\nsecret\n`
  const { message } = classifyFailure('pg_dump', 1, `${warning}pg_dump: error: no room\n`)
  assert.equal(message, 'pg_dump ended with status 1: pg_dump: error: no room')
  assert.doesNotMatch(classifyFailure('pg_dump', 1, warning).message, /secret/)
})

test('a value that the server quotes in its error is not told', () => {
  for (const [told, shown] of [
    [
      '22P02: invalid input syntax for type integer: "secret"',
      '22P02: invalid input syntax for type integer: "…"',
    ],
    [
      '22003: value "12345678901" is out of range for type integer',
      '22003: value "…" is out of range for type integer',
    ],
    [
      '22P02: invalid input syntax for type json: "secret\nsecret',
      '22P02: invalid input syntax for type json: "…"',
    ],
    ['22P04: missing data for column "born"', '22P04: missing data for column "born"'],
    ['42P01: relation "public.a" does not exist', '42P01: relation "public.a" does not exist'],
  ]) {
    const { message } = classifyFailure('psql', 3, `ERROR:  ${told}\nLOCATION:  x, y.c:1\n`)
    assert.equal(message, `psql ended with status 3: ERROR:  ${shown}`)
  }
})

test('a long message is cut', () => {
  assert.ok(classifyFailure('pg_dump', 1, `pg_dump: error: ${'x'.repeat(10_000)}`).message.length < 700)
})
