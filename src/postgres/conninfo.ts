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

/**
 * `postgres://user:password@host1:port1,host2/database?sslmode=…` as libpq reads it: what stands behind the `?` goes
 * before what stands in front. Throws ERR_CONFIG, also for an `@` that is not written as %40: it would be the end of a
 * password, taken for a host or a database and shown.
 */
export function parsePostgresUrl(url: string): ServerAccess {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^@?#]*))?(?:\?([^#]*))?$/.exec(url)
  if (match === null) throw badUrl()
  const [, login, hosts = '', database, query] = match
  const parameters: Record<string, string> = {}
  const [user, password] = (login ?? '').split(/:(.*)/s)
  if (user !== undefined && user !== '') parameters['user'] = decode(user)
  if (password !== undefined && password !== '') parameters['password'] = decode(password)
  if (database !== undefined && database !== '') parameters['dbname'] = decode(database)
  addHosts(parameters, hosts)
  for (const pair of (query ?? '').split('&').filter((pair) => pair !== '')) {
    const [keyword = '', value = ''] = pair.split(/=(.*)/s)
    if (!/^[a-z_]+$/.test(keyword)) throw badUrl()
    if (otherSecrets.has(keyword)) throw secretInUrl(keyword)
    parameters[keyword] = decode(value)
  }
  const { password: secret, ...others } = parameters
  return { prefix: [], parameters: others, password: secret === undefined ? undefined : passwordOf(secret) }
}

/** Parameters that are secrets and can be handed to a program only where all users of the machine see them. */
const otherSecrets: ReadonlySet<string> = new Set([
  'sslpassword',
  'oauth_client_secret',
  'scram_client_key',
  'scram_server_key',
])

function secretInUrl(keyword: string): CoffreError {
  return new CoffreError('ERR_CONFIG', `the database URL holds ${keyword}, which others could see`, {
    hint: 'put it into a connection service file, and name that in the URL: ?service=NAME',
  })
}

/** A password file has one line for each password (PostgreSQL documentation, 34.16 The Password File). */
function passwordOf(text: string): Secret {
  if (/[\r\n]/.test(text)) {
    throw new CoffreError('ERR_CONFIG', 'the password in the database URL has a line break', {
      hint: 'libpq cannot read such a password from a file: choose another one',
    })
  }
  return new Secret(text)
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
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    throw badUrl()
  }
  if (decoded.includes('\0')) throw badUrl()
  return decoded
}

/** Says nothing of the URL itself: it may hold a password. */
function badUrl(): CoffreError {
  return new CoffreError('ERR_CONFIG', 'the database URL cannot be read', {
    hint: 'write it as postgres://user@host:5432/database, special characters as %XX',
  })
}

/** A server that does not answer, or is gone without a word, must not hold a night: unless the URL says otherwise. */
const patience = {
  connect_timeout: '15',
  keepalives_idle: '60',
  keepalives_interval: '20',
  keepalives_count: '6',
}

/** One conninfo string, every value quoted. */
export function formatConninfo(access: ServerAccess, extra: Readonly<Record<string, string>> = {}): string {
  return Object.entries({ ...patience, ...access.parameters, ...extra })
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
