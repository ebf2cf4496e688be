/**
 * Which versions of servers and client programs go together. Decides, and says why and what to do; asking the programs
 * and the server is `operations/check-versions.ts`. By major version: minor ones write and read the same archives.
 */
import { CoffreError } from '../errors.ts'

/** COPY by ctid ranges needs what 14 brought; 13 ended in November 2025. */
const oldestServer = 14
/** From here on pg_restore sets `transaction_timeout`, which older servers refuse (PostgreSQL 17, release notes). */
const setsTransactionTimeout = 17

/** `18.6`, `19beta1`, `20devel` → the number before. */
export function majorOf(version: string): number {
  return Number.parseInt(version, 10)
}

/** `15.20 (Debian 15.20-0+deb12u1)` → `15.20`. */
function short(version: string): string {
  return version.split(' ')[0] ?? version
}

export interface DumpVersions {
  readonly server: string
  readonly pgDump: string
  readonly pgDumpall: string
  /** Whether programs run behind a command prefix. */
  readonly prefixed: boolean
}

/** Throws ERR_SOURCE for a server that is too old, ERR_PROGRAM for programs older than the server: pg_dump refuses it. */
export function assertCanDump({ server, pgDump, pgDumpall, prefixed }: DumpVersions): void {
  const major = majorOf(server)
  if (major < oldestServer) {
    throw new CoffreError(
      'ERR_SOURCE',
      `the server is PostgreSQL ${short(server)}; coffre backs up ${oldestServer} and newer`,
      { hint: 'upgrade the server (pg_upgrade, or pg_dump and pg_restore of a newer version); 13 has ended' },
    )
  }
  for (const [program, version] of [
    ['pg_dump', pgDump],
    ['pg_dumpall', pgDumpall],
  ] as const) {
    if (majorOf(version) >= major) continue
    throw new CoffreError(
      'ERR_PROGRAM',
      `${program} is ${short(version)}, older than the server, ${short(server)}: it would refuse to dump it`,
      { hint: howToGet(major, prefixed) },
    )
  }
}

/** What a person should know of a backup made by such programs, in words; undefined when there is nothing. */
export function dumpLimit({ server, pgDump }: DumpVersions): { message: string; hint: string } | undefined {
  const [from, by] = [majorOf(server), majorOf(pgDump)]
  if (from >= setsTransactionTimeout || by < setsTransactionTimeout) return undefined
  return {
    message: `pg_dump is ${short(pgDump)}, newer than the server, ${short(server)}: this backup restores on PostgreSQL ${setsTransactionTimeout} and newer only`,
    hint: `to restore on ${from} as well, back up with the client programs of version ${from} to ${setsTransactionTimeout - 1}`,
  }
}

export interface RestoreVersions {
  /** The server to restore to. */
  readonly server: string
  readonly pgRestore: string
  /** The server that was backed up, and what dumped it. */
  readonly source: string
  readonly archive: string
  readonly prefixed: boolean
}

/** Throws ERR_DESTINATION for a server older than the source, ERR_PROGRAM for a pg_restore that would fail half way. */
export function assertCanRestore(versions: RestoreVersions): void {
  const { server, pgRestore, source, archive, prefixed } = versions
  const [to, by, made] = [majorOf(server), majorOf(pgRestore), majorOf(archive)]
  if (to < majorOf(source)) {
    throw new CoffreError(
      'ERR_DESTINATION',
      `the backup is of PostgreSQL ${short(source)}; this server is older: ${short(server)}`,
      { hint: `restore on PostgreSQL ${majorOf(source)} or newer` },
    )
  }
  if (to < setsTransactionTimeout && made >= setsTransactionTimeout) {
    throw new CoffreError(
      'ERR_DESTINATION',
      `the backup was made by pg_dump ${short(archive)}: it cannot be restored on PostgreSQL ${short(server)}`,
      { hint: `restore on PostgreSQL ${setsTransactionTimeout} or newer` },
    )
  }
  if (by < made) {
    throw new CoffreError(
      'ERR_PROGRAM',
      `pg_restore is ${short(pgRestore)}, older than the pg_dump that made the backup, ${short(archive)}`,
      { hint: howToGet(to < setsTransactionTimeout ? made : Math.max(made, to), prefixed) },
    )
  }
  if (to < setsTransactionTimeout && by >= setsTransactionTimeout) {
    throw new CoffreError(
      'ERR_PROGRAM',
      `pg_restore is ${short(pgRestore)}: from ${setsTransactionTimeout} on it cannot restore on older servers, and this one is ${short(server)}`,
      { hint: howToGet(Math.max(made, to), prefixed) },
    )
  }
}

function howToGet(major: number, prefixed: boolean): string {
  return prefixed
    ? `make sure that the command prefix (run: …) leads to the client programs of PostgreSQL ${major}, such as those in the server's own container`
    : `apt-get install postgresql-client-${major} (where Debian has none: apt.postgresql.org) and put /usr/lib/postgresql/${major}/bin first in PATH; or use the server's own programs by a command prefix, such as run: [docker, exec, -i, CONTAINER]`
}
