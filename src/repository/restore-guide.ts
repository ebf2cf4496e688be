/**
 * RESTORE.md, written beside every backup: how to restore it with stock programs alone. It is in the clear, so it says
 * nothing of the content; its digest is in the manifest, so that it is only followed after the signature was checked.
 */
import { createHash } from 'node:crypto'
import type { Manifest } from '../model/manifest.ts'

export function restoreGuide(manifest: Omit<Manifest, 'restoreGuide'>): {
  bytes: Buffer
  facts: Manifest['restoreGuide']
} {
  const bytes = Buffer.from(guideText(manifest))
  return {
    bytes,
    facts: {
      name: 'RESTORE.md',
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
  }
}

function guideText(manifest: Omit<Manifest, 'restoreGuide'>): string {
  const { artifacts, backup, source, snapshotTime, postgres, recipients, compression } = manifest
  const expand = compression.algorithm === 'zstd' ? 'zstd -q -d --rm -f' : 'gzip -d -f'
  const hasLargeObjects = artifacts.some(({ kind }) => kind === 'large-objects')
  return `# Restoring this backup without coffre

Backup \`${backup}\` of the source \`${source}\`: the database as it was at ${snapshotTime}
(PostgreSQL ${postgres.server}). It is sealed to:

${recipients.map(({ fingerprint, subkey }) => `- key ${fingerprint}, encryption subkey ${subkey}`).join('\n')}

You need one of their secret keys in your gpg keyring (\`gpg --import\`), the programs gpg, sha256sum, ${compression.algorithm}, and
PostgreSQL's client programs: pg_restore ${postgres.minimumPgRestore} or newer, psql with \\restrict (every release since August 2025).

**First make sure that this page and the files beside it are genuine**: \`gpgv\` with your own copy of the keys over
manifest.json, then the manifest's SHA-256 of this page. "Restoring without coffre" in your kit or in coffre's
documentation has the lines. Only then go on here.

Run the lines below in the folder this page lies in, one block after the other, in one shell. Stop when one fails.

## 1. The files are whole

\`\`\`sh
set -eu
sha256sum --check --quiet <<'SUMS'
${artifacts.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n')}
SUMS
\`\`\`

## 2. Decrypt them

The decrypted files are your data in the clear: keep them on a disk you trust, and delete them afterwards.

\`\`\`sh
umask 077
mkdir -p plain/rows
for sealed in ${artifacts
    .filter(({ kind }) => kind !== 'rows')
    .map(({ name }) => name)
    .join(' ')} ${artifacts.some(({ kind }) => kind === 'rows') ? 'rows/*.gpg' : ''}; do
  gpg --batch --yes --output "plain/\${sealed%.gpg}" --decrypt "$sealed"
  ${expand} "plain/\${sealed%.gpg}"
done
\`\`\`

## 3. Make an empty database

Choose its name; say where the server is with PGHOST, PGPORT and PGUSER. The user must be allowed to create databases and
roles. Encoding and locale are taken from the inventory.

\`\`\`sh
DATABASE=\${DATABASE:-restored}
property() { sed -n '/^  "database": {/,/^  }/s/^    "'"$1"'": "\\(.*\\)",$/\\1/p' plain/inventory.json; }
createdb --template=template0 --encoding="$(property encoding)" --lc-collate="$(property collate)" --lc-ctype="$(property characterType)" "$DATABASE"
\`\`\`

## 4. Roles

Errors about roles that already exist are expected. This holds every role of the old server: read it first if the new
server has others' databases, and take out what does not belong there.

\`\`\`sh
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')
guarded() { printf '\\\\restrict %s\\n' "$token"; cat "$@"; printf '\\\\unrestrict %s\\n' "$token"; }
guarded plain/globals.sql | psql -X -q -d "$DATABASE" || true
\`\`\`

## 5. Tables, rows, ${hasLargeObjects ? 'large objects, ' : ''}indexes and constraints

\`\`\`sh
pg_restore --exit-on-error --section=pre-data --dbname="$DATABASE" plain/schema.dump
for rows in plain/rows/*.sql; do
  [ -e "$rows" ] || continue
  guarded "$rows" | psql -X -q -o /dev/null -v ON_ERROR_STOP=1 --single-transaction -d "$DATABASE"
done
${hasLargeObjects ? 'pg_restore --exit-on-error --section=data --dbname="$DATABASE" plain/large-objects.dump\n' : ''}pg_restore --exit-on-error --section=post-data --dbname="$DATABASE" plain/schema.dump
\`\`\`

## 6. Count the rows

Prints the tables whose number of rows differs from the snapshot's: it must print nothing.

\`\`\`sh
psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$DATABASE" <<'SQL'
\\set inventory \`cat plain/inventory.json\`
SELECT format('SELECT %L WHERE (SELECT count(*) FROM ONLY %I.%I %s) <> %s', t->>'schema' || '.' || (t->>'name'), t->>'schema', t->>'name',
  coalesce(t->'extension'->>'condition', ''), t->>'rows') FROM jsonb_array_elements(:'inventory'::jsonb->'tables') AS t \\gexec
VACUUM ANALYZE;
SQL
\`\`\`

Settings, rights and comment of the database itself are in plain/inventory.json under "database". When all is well, delete
the folder \`plain\`.
`
}
