/**
 * The way back, of one and the same database: by coffre, which compares every row with what was backed up, and by what people
 * type instead, which compares nothing. Both end with statistics gathered. BACK is the name of a database that is not there;
 * DUMP what the usual way made; CONFIG and IDENTITY coffre's own.
 */
import { coffre, type Contestant } from './contestants.ts'

export const usualRestore = 'gpg -d | gunzip | psql'

/** What makes DUMP, once. */
export const usualDump =
  'pg_dump | gzip -9 | gpg --homedir "$KEYRING" --batch --quiet --trust-model always --recipient bench@example.org --compress-level 0 --encrypt > "$DUMP"'

const to = '--to "postgres://postgres@/$BACK?host=$PGHOST" --identity "$IDENTITY"'

export function restores(jobs: number, smallTable: string): readonly Contestant[] {
  return [
    {
      name: usualRestore,
      what: 'one session, nothing compared: the yardstick',
      script: `createdb "$BACK"; gpg --homedir "$KEYRING" --batch --quiet -d "$DUMP" | gunzip | psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$BACK"; psql -X -q -d "$BACK" -c ANALYZE`,
      needs: ['gpg', 'gunzip', 'psql'],
    },
    {
      name: `coffre restore, ${jobs} jobs`,
      what: 'every byte checked before it is used, every row compared afterwards',
      script: `'${coffre}' --config "$CONFIG" restore latest --json --jobs ${jobs} ${to} > /dev/null`,
      needs: [],
    },
    {
      name: `coffre restore --table ${smallTable}`,
      what: 'one small table out of it, also compared',
      script: `'${coffre}' --config "$CONFIG" restore latest --json --table ${smallTable} ${to} > /dev/null`,
      needs: [],
    },
  ]
}
