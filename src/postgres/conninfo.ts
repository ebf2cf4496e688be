/**
 * Where a server is and how its client programs are started: directly, or behind a command prefix
 * (`docker exec -i koprogo-postgres`) with everything going through it.
 * Parameters travel as one quoted conninfo string, because a database named `a=b` breaks positional names
 * (PostgreSQL documentation, 34.1.1 Connection Strings). The password is kept apart: it never enters arguments.
 */
import { CoffreError } from '../errors.ts'
import { Secret } from '../model/secret.ts'

export interface ServerAccess {
  /** Words put before every client program; empty for a direct start. */
  readonly prefix: readonly string[]
  /** libpq keywords without `password`. */
  readonly parameters: Readonly<Record<string, string>>
  readonly password: Secret | undefined
}

/** `postgres://user:password@host1:port1,host2/database?sslmode=…` as libpq reads it. Throws ERR_CONFIG. */
export function parsePostgresUrl(url: string): ServerAccess {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url)
  if (match === null) throw badUrl()
  const [, login, hosts = '', database, query] = match
  const parameters: Record<string, string> = {}
  for (const pair of (query ?? '').split('&').filter((pair) => pair !== '')) {
    const [keyword = '', value = ''] = pair.split(/=(.*)/s)
    if (!/^[a-z_]+$/.test(keyword)) throw badUrl()
    parameters[keyword] = decode(value)
  }
  const [user, password] = (login ?? '').split(/:(.*)/s)
  if (user !== undefined && user !== '') parameters['user'] = decode(user)
  if (database !== undefined && database !== '') parameters['dbname'] = decode(database)
  addHosts(parameters, hosts)
  const secret = password === undefined || password === '' ? parameters['password'] : decode(password)
  delete parameters['password']
  return { prefix: [], parameters, password: secret === undefined ? undefined : new Secret(secret) }
}

function addHosts(parameters: Record<string, string>, hosts: string): void {
  if (hosts === '') return
  const pairs = hosts
    .split(',')
    .map((host) => /^(\[[^\]]+\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(host) ?? undefined)
  const names = pairs.map((pair) => {
    if (pair === undefined) throw badUrl()
    return decode((pair[1] ?? '').replace(/^\[|\]$/g, ''))
  })
  if (names.some((name) => name !== '')) parameters['host'] = names.join(',')
  if (pairs.some((pair) => pair?.[2] !== undefined))
    parameters['port'] = pairs.map((pair) => pair?.[2] ?? '').join(',')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw badUrl()
  }
}

/** Says nothing of the URL itself: it may hold a password. */
function badUrl(): CoffreError {
  return new CoffreError('ERR_CONFIG', 'the database URL cannot be read', {
    hint: 'write it as postgres://user@host:5432/database, special characters as %XX',
  })
}

/** One conninfo string, every value quoted. */
export function formatConninfo(access: ServerAccess, extra: Readonly<Record<string, string>> = {}): string {
  return Object.entries({ ...access.parameters, ...extra })
    .map(([keyword, value]) => `${keyword}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ')
}

/** The same server, another database. */
export function inDatabase(access: ServerAccess, database: string): ServerAccess {
  return { ...access, parameters: { ...access.parameters, dbname: database } }
}

/** For messages: no password, no parameters that could hold one. */
export function describeAccess(access: ServerAccess): string {
  const { host = 'local socket', port, dbname = '(default)', user } = access.parameters
  const where =
    access.prefix.length > 0
      ? `behind ${access.prefix.join(' ')}`
      : `at ${host}${port === undefined ? '' : `:${port}`}`
  return `database ${JSON.stringify(dbname)}${user === undefined ? '' : ` as ${user}`} ${where}`
}
