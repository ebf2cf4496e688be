/**
 * The steps of RESTORE.md that are the same for every backup: roles, database, loading, comparing, properties, tidying up.
 * Each statement that a name or value of the backup goes into is composed by the server's own format(), out of the
 * decrypted inventory; text from the artifacts runs in pg_restore, and in a psql under \restrict.
 */

const setting = String.raw`format('SET %s = %s',
  (SELECT string_agg(quote_ident(part), '.') FROM unnest(string_to_array(s->>'name', '.')) part),
  -- Lists are kept as written, "$user", public: each item is quoted by itself.
  CASE WHEN lower(s->>'name') IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries')
    THEN coalesce((SELECT string_agg(quote_literal(coalesce(replace(m[1], '""', '"'), btrim(m[2]))), ', ')
      FROM regexp_matches(s->>'value', '\s*(?:"((?:[^"]|"")*)"|([^",]+))\s*(?:,|$)', 'g') m), '''''')
    ELSE quote_literal(s->>'value') END)`

/**
 * In these texts a tilde stands for a backtick, which a raw template cannot hold, INVENTORY for reading the inventory, and
 * SETTING for what follows ALTER DATABASE or ALTER ROLE, out of the setting `s`.
 */
function page(text: string): string {
  const inventory = String.raw`\set inventory ~cat "$PLAIN/inventory.json"~`
  return text
    .replaceAll('INVENTORY', () => inventory)
    .replaceAll('SETTING', () => setting)
    .replaceAll('~', '`')
}

export interface FirstBlock {
  /** The oldest major version of PostgreSQL that will do. */
  readonly oldest: number
  /** The file the block stands in. */
  readonly page: 'RESTORE.md' | 'LOAD.md'
  /** Of the decrypted files, as bash reads it; unless PLAIN says otherwise. */
  readonly folder: string
}

/** What all later blocks lean on, and whether the server and the name will do. */
export function firstBlock({ oldest, page, folder }: FirstBlock): string {
  const [witness, where] =
    page === 'RESTORE.md' ? ['manifest.json', 'the folder of a backup'] : [page, 'the folder of these files']
  return `\`\`\`sh
stop() { echo "STOP: $*" >&2; exit 1; }
after() { [ "\${DONE:-0}" -ge "$1" ] || stop "step $1 has not ended well yet"; }
ended() {
  if [ "$2" = 0 ]; then DONE=$1; echo "OK: step $1"; else DONE=$(($1 - 1)); echo "STOP: step $1 failed" >&2; return 1; fi
}
query() { psql -X -q -A -t -v ON_ERROR_STOP=1 -v database="$DATABASE" -d "$@"; }
export PGCLIENTENCODING=UTF8 PLAIN="\${PLAIN:-${folder}}"
DATABASE=\${DATABASE:-restored} JOBS=\${JOBS:-2}
(
  set -euo pipefail
  [ -e ${witness} ] || stop 'this is not ${where}: cd to the folder ${page} lies in'
  case $DATABASE in *[^A-Za-z0-9_]*) stop 'choose a name of letters, digits and _' ;; esac
  server=$(query postgres -c "SELECT current_setting('server_version_num')::int / 10000")
  [ "$server" -ge ${oldest} ] || stop "the server is PostgreSQL $server: ${oldest} or newer is needed"
  taken=$(query postgres -c "SELECT count(*) FROM pg_database WHERE datname = '$DATABASE'")
  [ "$taken" = 0 ] || stop "the database $DATABASE exists already: choose another name, it is left as it is"
)
ended 1 $?
\`\`\`
`
}

export const makeRoles = page(String.raw`## 4. Roles

Makes the roles this database refers to, where they are missing, with the passwords, memberships and settings they had. A role
that exists already stays as it is. The file globals.sql holds the same roles as SQL, and the tablespaces; or all of the old
server, as pg_dumpall wrote them, if the configuration asked for that. Take single lines out of it where something is missing;
running the whole of what pg_dumpall wrote would reset the passwords of roles that exist. A setting that this server does not know is told and left out.

~~~sh
(
  set -euo pipefail
  after 3
  query postgres <<'SQL'
INVENTORY
CREATE TEMP TABLE missing AS SELECT r FROM json_array_elements(:'inventory'::json->'roles') r
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r->>'name');
BEGIN;
SELECT statement FROM (
  SELECT 1, format('CREATE ROLE %I WITH %s', r->>'name', concat_ws(' ',
    CASE WHEN (r->>'superuser')::boolean THEN 'SUPERUSER' END,
    CASE WHEN (r->>'inherit')::boolean THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN (r->>'createRole')::boolean THEN 'CREATEROLE' END,
    CASE WHEN (r->>'createDatabase')::boolean THEN 'CREATEDB' END,
    CASE WHEN (r->>'login')::boolean THEN 'LOGIN' END,
    CASE WHEN (r->>'replication')::boolean THEN 'REPLICATION' END,
    CASE WHEN (r->>'bypassRowSecurity')::boolean THEN 'BYPASSRLS' END,
    'CONNECTION LIMIT ' || (r->>'connectionLimit'),
    'VALID UNTIL ' || quote_literal(r->>'validUntil'),
    'PASSWORD ' || quote_literal(r->>'passwordVerifier'))) FROM missing
  UNION ALL
  SELECT 2, format('GRANT %I TO %I', g->>'role', r->>'name') || CASE
    WHEN g->>'inherit' IS NOT NULL THEN format(' WITH ADMIN %s, INHERIT %s, SET %s', g->>'admin', g->>'inherit', g->>'set')
    WHEN (g->>'admin')::boolean THEN ' WITH ADMIN OPTION' ELSE '' END
    FROM missing, json_array_elements(r->'memberOf') g
  UNION ALL
  SELECT 3, format('COMMENT ON ROLE %I IS %L', r->>'name', r->>'comment') FROM missing WHERE r->>'comment' IS NOT NULL
) s (step, statement) ORDER BY step
\gexec
COMMIT;
\set ON_ERROR_STOP 0
SELECT format('ALTER ROLE %I %s', r->>'name', SETTING) FROM missing, json_array_elements(r->'settings') s
\gexec
SQL
)
ended 4 $?
~~~
`)

export const makeDatabase = page(String.raw`## 5. An empty database

With the owner, encoding, locale and tablespace that the old one had; without the tablespace where there is none of its name.

~~~sh
(
  set -euo pipefail
  after 4
  query postgres <<'SQL'
INVENTORY
SELECT concat_ws(' ',
  format('CREATE DATABASE %I WITH TEMPLATE template0 OWNER %I', :'database', d->>'owner'),
  format('ENCODING %L LC_COLLATE %L LC_CTYPE %L', d->>'encoding', d->>'collate', d->>'characterType'),
  CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'LOCALE_PROVIDER ' || (d->>'localeProvider') END,
  CASE d->>'localeProvider' WHEN 'icu' THEN 'ICU_LOCALE ' WHEN 'builtin' THEN 'BUILTIN_LOCALE ' END || quote_literal(d->>'locale'),
  'ICU_RULES ' || quote_literal(d->>'icuRules'),
  (SELECT 'TABLESPACE ' || quote_ident(spcname) FROM pg_catalog.pg_tablespace WHERE spcname = d->>'tablespace' AND spcname <> 'pg_default'))
FROM (SELECT :'inventory'::json->'database') i (d)
\gexec
SQL
)
ended 5 $?
~~~
`)

/** Definitions, rows, large objects where there are any, then indexes and constraints. */
export function loadDatabase({ largeObjects }: { readonly largeObjects: boolean }): string {
  const words = largeObjects ? 'large objects, ' : ''
  const lines = largeObjects
    ? String.raw`
  pg_restore --exit-on-error --section=data --dbname="$DATABASE" "$PLAIN/large-objects.dump"`
    : ''
  return page(String.raw`## 6. Tables, rows, ${words}indexes and constraints

The long one. ~JOBS=4~, typed before it, builds four indexes at once. After a STOP the database is half full: drop it
(~dropdb "$DATABASE"~), paste block 5 again, then this one. A file that is refused is tried again after the others, as the rows
of one table may have to be there before those of another can be checked: an ERROR that is followed by ~OK: step 6~ is none.

~~~sh
(
  set -euo pipefail
  after 5
  pg_restore --exit-on-error --section=pre-data --dbname="$DATABASE" "$PLAIN/schema.dump"
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  left=$(sums | sed -n 's/^[0-9a-f]*  \(rows\/[0-9]*\.sql\).*/\1/p')
  while [ -n "$left" ]; do
    refused=
    for rows in $left; do
      echo "$rows"
      { printf '\\restrict %s\n' "$token"; cat "$PLAIN/$rows"; printf '\\unrestrict %s\n' "$token"; } |
        query "$DATABASE" --single-transaction -o /dev/null -f - || refused="$refused$rows "
    done
    [ -z "$refused" ] || [ "$(echo $refused)" != "$(echo $left)" ] || stop 'what is refused now was refused before'
    left=$refused
  done${lines}
  pg_restore --exit-on-error --section=post-data --jobs="$JOBS" --dbname="$DATABASE" "$PLAIN/schema.dump"
)
ended 6 $?
~~~
`)
}

export const compareCounts = page(String.raw`## 7. Compare with the snapshot

Counts the rows of every table and the large objects, and looks where each sequence stands. Prints whatever differs from the
snapshot, and stops if anything does.

~~~sh
(
  set -euo pipefail
  after 6
  query "$DATABASE" > "$PLAIN/differences" <<'SQL'
SET statement_timeout = 0; SET row_security = off; SET search_path = '';
\set inventory ~echo "{"; sed -n '/^  "tables": /,$p' "$PLAIN/inventory.json"~
SELECT format('SELECT %L WHERE (SELECT count(*) FROM %s %I.%I %s) <> %s',
  'table ' || (t->>'schema') || '.' || (t->>'name') || ' should have rows: ' || (t->>'rows'),
  CASE WHEN (t->>'partitioned')::boolean THEN '' ELSE 'ONLY' END, t->>'schema', t->>'name', t->'extension'->>'condition', t->>'rows')
FROM json_array_elements(:'inventory'::json->'tables') t
\gexec
SELECT format('SELECT %L FROM %I.%I WHERE last_value <> %s OR is_called <> %L',
  'sequence ' || (s->>'schema') || '.' || (s->>'name') || ' should stand at ' || (s->>'lastValue'),
  s->>'schema', s->>'name', s->>'lastValue', s->>'isCalled')
FROM json_array_elements(:'inventory'::json->'sequences') s
\gexec
SELECT 'large objects: ' || count(*) FROM pg_catalog.pg_largeobject_metadata
HAVING count(*) <> coalesce((:'inventory'::json->'largeObjects'->>'objects')::bigint, 0);
VACUUM ANALYZE;
SQL
  cat "$PLAIN/differences"
  [ ! -s "$PLAIN/differences" ] || stop 'what was restored differs from the snapshot'
)
ended 7 $?
~~~
`)

export const setProperties = page(String.raw`## 8. Settings, rights and comment of the database itself

~~~sh
(
  set -euo pipefail
  after 7
  query postgres <<'SQL'
INVENTORY
WITH d AS (SELECT :'inventory'::json->'database' AS d)
SELECT format('ALTER %s %s',
  CASE WHEN s->>'role' IS NULL THEN format('DATABASE %I', :'database') ELSE format('ROLE %I IN DATABASE %I', s->>'role', :'database') END,
  SETTING)
FROM d, json_array_elements(d->'settings') s
UNION ALL SELECT format('COMMENT ON DATABASE %I IS %L', :'database', d->>'comment') FROM d WHERE d->>'comment' IS NOT NULL
UNION ALL SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', :'database', d->>'connectionLimit') FROM d
\gexec
WITH d AS (SELECT :'inventory'::json->'database' AS d)
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', :'database', d->>'owner') FROM d WHERE json_typeof(d->'grants') = 'array'
\gexec
WITH d AS (SELECT :'inventory'::json->'database' AS d)
SELECT format('GRANT %s ON DATABASE %I TO %s%s', g->>'privilege', :'database', coalesce(quote_ident(g->>'grantee'), 'PUBLIC'),
  CASE WHEN (g->>'grantable')::boolean AND g->>'grantee' IS NOT NULL THEN ' WITH GRANT OPTION' END)
FROM d, json_array_elements(CASE json_typeof(d->'grants') WHEN 'array' THEN d->'grants' ELSE '[]' END) g
\gexec
\set ON_ERROR_STOP 0
SELECT format('SECURITY LABEL FOR %I ON DATABASE %I IS %L', l->>'provider', :'database', l->>'label')
FROM json_array_elements(:'inventory'::json->'database'->'securityLabels') l
\gexec
SQL
)
ended 8 $?
~~~

A security label that this server does not know is told and left out. Subscriptions came back disabled, and name the
same slots as the old ones: before one is dropped, ~ALTER SUBSCRIPTION x SET (slot_name = NONE)~, or the publisher drops the slot.

The database is restored. Look at it, and let the application look at it. To give it the old name, from another database:

~~~text
ALTER DATABASE the_old_one RENAME TO the_old_one_before_the_restore;
ALTER DATABASE restored RENAME TO the_old_one;
~~~
`)

export const tidyUp = page(String.raw`## 9. Delete the decrypted files

~~~sh
(
  set -euo pipefail
  after 8
  for plain in $(sums | sed 's/^[0-9a-f]*  //; s/\.[a-z]*\.gpg$//') differences; do rm -f -- "$PLAIN/$plain"; done
  rmdir "$PLAIN/rows" "$PLAIN"
  gpgconf --kill gpg-agent
)
ended 9 $?
~~~

Take the secret key off this machine again if it does not live here (~gpg --delete-secret-keys FINGERPRINT~). Where several
people read along, change the passwords the old roles had.
`)

export const whenItComplains = page(String.raw`## When something complains

| it says | do |
| --- | --- |
| sha256sum: FAILED | that file was altered or cut short: copy it again; in a bucket with versions look for older versions of it; else take another backup |
| gpg: decryption failed: No secret key | none of the keys at the top is in this gpg's keyring: ~gpg --list-secret-keys~ |
| gpg: Inappropriate ioctl for device, no pinentry | add ~--pinentry-mode loopback~ to the gpg line |
| psql: invalid command \restrict | this psql is too old: install the newest of its version |
| invalid locale name, or ICU collation | install the locale (~locale-gen~) or the server's ICU; or make the database by hand with ~createdb --template=template0~, same encoding and owner, a locale this server has (text may sort otherwise), set DONE=5 and go on with step 6 |
| encoding does not match locale | the same |
| extension "x" is not available | install its package on the server |
| role "x" does not exist | make it (globals.sql has it), or add ~--no-owner --no-privileges~ to the three pg_restore lines: everything then belongs to you |
| tablespace "x" does not exist | make it, or add ~--no-tablespaces~ to the pg_restore lines |
| database is being used by logical replication subscription | in that database, for each of ~SELECT subname FROM pg_subscription~: ~ALTER SUBSCRIPTION x DISABLE~, ~ALTER SUBSCRIPTION x SET (slot_name = NONE)~, ~DROP SUBSCRIPTION x~; then drop it |
| unsupported version in file header | pg_restore is older than the pg_dump that wrote the archive: use a newer one |
| unrecognized configuration parameter | the server is older or lacks a library: install it, or leave that setting out |
| permission denied, must be superuser | use a superuser; event triggers, some extensions and row security cannot be restored without |
| could not execute query, in a REFRESH, CHECK or CREATE INDEX | usually a function that leans on search_path or on the clock: restore with ~pg_restore~ without ~--exit-on-error~, read every message, then make the missing things by hand |
| could not extend file: No space left on device | make room; drop the database, and begin with block 5 |

To see what the archives hold: ~pg_restore -l "$PLAIN/schema.dump"~. In inventory.json, ~tables~ has each table's number of rows,
and ~rowArtifacts~ says which file holds which tables (by their place in ~tables~, from 0): to load one table only, make the definitions
(step 6's first pg_restore line), then load the files that hold it.
`)
