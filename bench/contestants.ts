/**
 * Who makes a backup in the bench, as shell scripts over the same database, with the same end: what was written is on the disk,
 * file and folder (`settle`; the directory store does it by itself), or acknowledged by the S3 server. PGHOST, PGUSER and
 * PGDATABASE are in the environment; OUT is an empty folder, KEYRING a gpg home that holds the recipient's public key.
 */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { home } from '../test/support/coffre.ts'

export interface Contestant {
  readonly name: string
  /** Does it the work of a sealed backup, or a part of it only? For the report. */
  readonly what: string
  readonly script: string
  /** Programs that must be installed; where one is not, the contestant is left out and that is said. */
  readonly needs: readonly string[]
  /** So slow that one round tells enough. */
  readonly once?: boolean
}

export const coffre = join(home, 'bin/coffre')
const gpg =
  'gpg --homedir "$KEYRING" --batch --quiet --trust-model always --recipient bench@example.org --encrypt'
/** On the disk, the name too, and to be read again. */
const settle = (path: string): string => `sync "${path}" "$OUT" && head -c 4096 "${path}" > /dev/null`

export const reference = 'pg_dump > /dev/null'

export function contestants(jobs: number): readonly Contestant[] {
  return [
    {
      name: reference,
      what: 'a dump thrown away: the yardstick',
      script: 'pg_dump > /dev/null',
      needs: ['pg_dump'],
    },
    {
      name: `COPY alone, ${jobs} sessions`,
      what: 'rows only, thrown away: the floor',
      script: `for part in "$COPIES"/*.sql; do psql -X -q -f "$part" > /dev/null & pids="\${pids:-} $!"; done; for pid in $pids; do wait "$pid"; done`,
      needs: ['psql'],
    },
    {
      name: `coffre, ${jobs} lanes, directory`,
      what: 'compressed, sealed, signed, digested row by row, on disk',
      script: `'${coffre}' --config "$CONFIG" backup --json directory`,
      needs: [],
    },
    {
      name: 'coffre, 1 lane, directory',
      what: 'the same with `jobs: 1`',
      script: `'${coffre}' --config "$CONFIG_ONE" backup --json directory`,
      needs: [],
    },
    {
      name: `coffre, ${jobs} lanes, S3`,
      what: 'the same, in a bucket of a real S3 server on this machine, which uses the same cores',
      script: `'${coffre}' --config "$CONFIG_S3" backup --json s3`,
      needs: [],
    },
    {
      name: 'pg_dump | zstd -1 -T0 | gpg -z0',
      what: 'compressed and sealed, nothing counted, nothing signed',
      script: `pg_dump | zstd -q -1 -T0 | ${gpg} --compress-level 0 > "$OUT/dump"; ${settle('$OUT/dump')}`,
      needs: ['pg_dump', 'zstd', 'gpg'],
    },
    {
      name: `pg_dump -Fd -j${jobs}, then gpg`,
      what: 'in parallel, compressed by gzip -1, then sealed file by file: the plain files were on disk',
      script: `pg_dump -Fd -j${jobs} -Z1 -f "$OUT/dump"; find "$OUT/dump" -type f -print0 | xargs -0 -n1 -P${jobs} sh -c '${gpg} --compress-level 0 < "$0" > "$0.gpg" && rm "$0" && sync "$0.gpg"'; sync "$OUT/dump" "$OUT"`,
      needs: ['pg_dump', 'gpg'],
      once: true,
    },
    {
      name: 'pg_dump | gzip -9 | gpg',
      what: 'the usual way',
      script: `pg_dump | gzip -9 | ${gpg} > "$OUT/dump"; ${settle('$OUT/dump')}`,
      needs: ['pg_dump', 'gzip', 'gpg'],
      once: true,
    },
    {
      name: 'pg_dump | restic',
      what: 'deduplicated, compressed and encrypted by a key that the host has',
      script: `export RESTIC_PASSWORD=bench; restic -q -r "$OUT/restic" init; pg_dump | restic -q -r "$OUT/restic" backup --stdin; sync -f "$OUT/restic"`,
      needs: ['pg_dump', 'restic'],
    },
    {
      name: `pgBackRest, ${jobs} processes, zst`,
      what: 'the files of the whole server, indexes too, encrypted by a key that the host has; no WAL, so it could not be restored: less work',
      script: `export PGBACKREST_REPO1_CIPHER_PASS=bench PGBACKREST_REPO1_CIPHER_TYPE=aes-256-cbc PGBACKREST_REPO1_PATH="$OUT/pgbackrest" PGBACKREST_STANZA=bench PGBACKREST_PG1_PATH="$PGDATA" PGBACKREST_PG1_SOCKET_PATH="$PGHOST" PGBACKREST_PG1_USER=postgres PGBACKREST_LOG_PATH="$OUT" PGBACKREST_LOCK_PATH="$OUT/lock" PGBACKREST_LOG_LEVEL_CONSOLE=error
pgbackrest stanza-create; pgbackrest backup --type=full --compress-type=zst --compress-level=1 --process-max=${jobs} --start-fast --no-archive-check; sync -f "$OUT"`,
      needs: ['pgbackrest'],
    },
  ]
}

/** Those whose programs are on the PATH, and the names of the others. */
export function installed(all: readonly Contestant[]): {
  readonly here: readonly Contestant[]
  readonly missing: readonly string[]
} {
  const folders = (process.env['PATH'] ?? '').split(':')
  const has = (program: string): boolean => folders.some((folder) => isExecutable(join(folder, program)))
  return {
    here: all.filter(({ needs }) => needs.every(has)),
    missing: all.filter(({ needs }) => !needs.every(has)).map(({ name }) => name),
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
