/**
 * Who runs in the bench, as shell scripts over the same database, with the same end: what was written is on the disk
 * (`sync FILE`, the directory store does it by itself) or acknowledged by the S3 server. PGHOST, PGUSER and PGDATABASE
 * are in the environment; OUT is an empty folder, KEYRING a gpg home that holds the recipient's public key.
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

const coffre = join(home, 'bin/coffre')
const gpg =
  'gpg --homedir "$KEYRING" --batch --quiet --trust-model always --recipient bench@example.org --encrypt'

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
      what: 'rows only, thrown away: nothing can be faster',
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
      name: `coffre, ${jobs} lanes, S3`,
      what: 'the same, in a bucket of a real S3 server on this machine',
      script: `'${coffre}' --config "$CONFIG_S3" backup --json s3`,
      needs: [],
    },
    {
      name: 'pg_dump | zstd -1 | gpg',
      what: 'compressed and sealed, nothing counted, nothing signed',
      script: `pg_dump | zstd -q -1 -T0 | ${gpg} --compress-level 0 > "$OUT/dump"; sync "$OUT/dump"`,
      needs: ['pg_dump', 'zstd', 'gpg'],
    },
    {
      name: `pg_dump -Fd -j${jobs}, then gpg`,
      what: 'parallel, compressed by gzip, sealed file by file',
      script: `pg_dump -Fd -j${jobs} -Z1 -f "$OUT/dump"; find "$OUT/dump" -type f -print0 | xargs -0 -n1 -P${jobs} sh -c '${gpg} --compress-level 0 < "$0" > "$0.gpg" && sync "$0.gpg"'`,
      needs: ['pg_dump', 'gpg'],
    },
    {
      name: 'pg_dump | gzip -9 | gpg',
      what: 'the usual way',
      script: `pg_dump | gzip -9 | ${gpg} > "$OUT/dump"; sync "$OUT/dump"`,
      needs: ['pg_dump', 'gzip', 'gpg'],
      once: true,
    },
    {
      name: 'pg_dump | restic',
      what: 'deduplicated, compressed and encrypted by a key that the host has',
      script: `export RESTIC_PASSWORD=bench; restic -q -r "$OUT/restic" init; pg_dump | restic -q -r "$OUT/restic" backup --stdin; sync -f "$OUT/restic"`,
      needs: ['pg_dump', 'restic'],
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
