/**
 * LOAD.md, written among the files of `coffre restore --to-directory`: how to load them with stock psql and pg_restore. It
 * goes on where RESTORE.md would after decrypting, with the same steps; every ```sh block runs as written, in bash.
 */
import type { Manifest } from '../model/manifest.ts'
import {
  compareCounts,
  firstBlock,
  loadDatabase,
  makeDatabase,
  makeRoles,
  setProperties,
  whenItComplains,
} from './restore-guide-steps.ts'

export interface PlainFile {
  readonly name: string
  readonly sha256: string
}

export const loadGuideName = 'LOAD.md'

export function loadGuide(manifest: Manifest, files: readonly PlainFile[]): string {
  const largeObjects = files.some(({ name }) => name === 'large-objects.dump')
  const complaints = whenItComplains.split('\n').filter((line) => !/^\| (gpg|sha256sum):/.test(line))
  return [
    opening(manifest),
    whereTo(manifest),
    areWhole(files),
    makeRoles,
    makeDatabase,
    loadDatabase({ largeObjects }),
    compareCounts,
    setProperties,
    tidyUp,
    complaints.join('\n'),
  ].join('\n')
}

function opening({ backup, source, snapshotTime, postgres }: Manifest): string {
  return `# Loading these files into PostgreSQL

Backup \`${backup}\` of the source \`${source}\`, decrypted by coffre: the database as it was at ${snapshotTime} (PostgreSQL
${postgres.server}). Every file here was found equal to what the backup's host had signed before it got its name.

**These files are your data in the clear.** Keep them where nobody else reads them, and delete them when you are done (step 9).

| file | what it is |
| --- | --- |
| schema.dump | the definitions, as pg_restore reads them: \`pg_restore -l schema.dump\` lists them, \`pg_restore -f - schema.dump\` shows them as SQL |
| rows/*.sql | the rows, as psql reads them; inventory.json says which file holds which tables |
| globals.sql | the roles and tablespaces of the old server, as SQL: to look things up, not to be run as a whole |
| large-objects.dump | only where there are any; for pg_restore, after schema.dump |
| inventory.json | every table with its columns, row count and digest; sequences; roles; the database's own properties |

You need bash, sed, sha256sum, and PostgreSQL's psql and pg_restore of version ${postgres.minimumPgRestore} or newer (psql must know \\restrict: 14.19,
15.14, 16.10, 17.6 or newer of each); and a PostgreSQL server of version ${major(postgres.server)} or newer with a superuser.

In this folder, in one bash, paste one block after the other, each whole. After each, wait for its \`OK\`. Where it says \`STOP\`,
read the lines above that, look at "When something complains" at the end, and paste the same block again; later blocks refuse
to run until it is OK. Nothing here touches a database that exists already.
`
}

function whereTo({ postgres }: Manifest): string {
  return `## 1. Say where to

Set what differs from these. The server is found by PGHOST, PGPORT and PGUSER; the password goes into ~/.pgpass.

\`\`\`text
export PGHOST=localhost PGUSER=postgres
DATABASE=restored          # the new database's name: letters, digits and _
\`\`\`

${firstBlock({ oldest: major(postgres.server), page: loadGuideName, folder: '$PWD' })}`
}

function areWhole(files: readonly PlainFile[]): string {
  return `## 2 and 3. The files are still what coffre wrote

(The steps are numbered as in the backup's own RESTORE.md, which checks in 2 and decrypts in 3.)

\`\`\`sh
sums() {
  cat <<'SUMS'
${files.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n')}
SUMS
}
(
  set -euo pipefail
  after 1
  cd "$PLAIN"
  sums | sha256sum --check --quiet
)
ended 3 $?
\`\`\`
`
}

const tidyUp = `## 9. Delete the decrypted files

\`\`\`sh
(
  set -euo pipefail
  after 8
  for plain in $(sums | sed 's/^[0-9a-f]*  //') differences ${loadGuideName}; do rm -f -- "$PLAIN/$plain"; done
  if [ -d "$PLAIN/rows" ]; then rmdir "$PLAIN/rows"; fi
  rmdir "$PLAIN"
)
ended 9 $?
\`\`\`
`

function major(version: string): number {
  return Number.parseInt(version, 10)
}
