/**
 * The steps of RESTORE.md that are the same for every backup: roles, database, loading, comparing, properties, tidying up.
 * Each statement that a name or value of the backup goes into is composed by the server's own format(), out of the
 * decrypted inventory; text from the artifacts runs in pg_restore, and in a psql under \restrict.
 */

/** In these texts a tilde stands for a backtick, which a raw template cannot hold, and INVENTORY for reading the inventory. */
function page(text: string): string {
  const inventory = String.raw`\set inventory ~cat "$PLAIN/inventory.json"~`
  return text.replaceAll('INVENTORY', () => inventory).replaceAll('~', '`')
}

export const makeRoles = page(String.raw`## 4. Roles

Makes the roles this database refers to, where they are missing, with the passwords they had. A role that exists already stays
as it is. The file globals.sql holds every role of the old server, their settings and tablespaces, as pg_dumpall wrote them. Take
single lines out of it where something is missing; running the whole of it would reset the passwords of roles that exist.

~~~sh
(
  set -euo pipefail
  after 3
  query postgres <<'SQL'
INVENTORY
WITH missing AS (
  SELECT r FROM json_array_elements(:'inventory'::json->'roles') r
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r->>'name'))
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
  SELECT 2, format('GRANT %I TO %I', granted, r->>'name') FROM missing, json_array_elements_text(r->'memberOf') granted
) s (step, statement) ORDER BY step
\gexec
SQL
)
ended 4 $?
~~~
`)

export const makeDatabase = page(String.raw`## 5. An empty database

With the owner, encoding and locale that the old one had.

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
  'ICU_RULES ' || quote_literal(d->>'icuRules'))
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
(~dropdb "$DATABASE"~), paste block 5 again, then this one.

~~~sh
(
  set -euo pipefail
  after 5
  pg_restore --exit-on-error --section=pre-data --dbname="$DATABASE" "$PLAIN/schema.dump"
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  for rows in $(sums | sed -n 's/^[0-9a-f]*  \(rows\/[0-9]*\.sql\)\..*/\1/p'); do
    echo "$rows"
    { printf '\\restrict %s\n' "$token"; cat "$PLAIN/$rows"; printf '\\unrestrict %s\n' "$token"; } |
      query "$DATABASE" --single-transaction -o /dev/null -f -
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
SELECT format('SELECT %L WHERE (SELECT count(*) FROM ONLY %I.%I %s) <> %s',
  'table ' || (t->>'schema') || '.' || (t->>'name') || ' should have rows: ' || (t->>'rows'),
  t->>'schema', t->>'name', t->'extension'->>'condition', t->>'rows')
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
SELECT format('ALTER %s SET %s = %s',
  CASE WHEN s->>'role' IS NULL THEN format('DATABASE %I', :'database') ELSE format('ROLE %I IN DATABASE %I', s->>'role', :'database') END,
  (SELECT string_agg(quote_ident(part), '.') FROM unnest(string_to_array(s->>'name', '.')) part),
  -- Lists are kept as written, "$user", public: each item is quoted by itself.
  CASE WHEN lower(s->>'name') IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries')
    THEN coalesce((SELECT string_agg(quote_literal(coalesce(replace(m[1], '""', '"'), btrim(m[2]))), ', ')
      FROM regexp_matches(s->>'value', '\s*(?:"((?:[^"]|"")*)"|([^",]+))\s*(?:,|$)', 'g') m), '''''')
    ELSE quote_literal(s->>'value') END)
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
SQL
)
ended 8 $?
~~~

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
| unsupported version in file header | pg_restore is older than the pg_dump that wrote the archive: use a newer one |
| unrecognized configuration parameter | the server is older or lacks a library: install it, or leave that setting out |
| permission denied, must be superuser | use a superuser; event triggers, some extensions and row security cannot be restored without |
| could not execute query, in a REFRESH, CHECK or CREATE INDEX | usually a function that leans on search_path or on the clock: restore with ~pg_restore~ without ~--exit-on-error~, read every message, then make the missing things by hand |
| could not extend file: No space left on device | make room; drop the database, and begin with block 5 |

To see what the archives hold: ~pg_restore -l "$PLAIN/schema.dump"~. In inventory.json, ~tables~ has each table's number of rows,
and ~rowArtifacts~ says which file holds which tables (by their place in ~tables~, from 0): to load one table only, make the definitions
(step 6's first pg_restore line), then load the files that hold it.
`)
