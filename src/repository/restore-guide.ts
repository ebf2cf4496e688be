/**
 * RESTORE.md, written beside every backup: how to restore it with stock programs alone. It is in the clear, so it says
 * nothing of the content; its digest is in the manifest, so that it is only followed after the signature was checked.
 * Every ```sh block runs as written, in bash, one after the other; a step that fails keeps the later ones from running.
 * The lines that every guide has alike are restore-guide-steps.ts.
 */
import { createHash } from 'node:crypto'
import type { Manifest } from '../model/manifest.ts'
import {
  compareCounts,
  firstBlock,
  loadDatabase,
  makeDatabase,
  makeRoles,
  setProperties,
  tidyUp,
  whenItComplains,
} from './restore-guide-steps.ts'

type Described = Omit<Manifest, 'restoreGuide'>

export function restoreGuide(manifest: Described): {
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

function guideText(manifest: Described): string {
  const objects = manifest.artifacts.some(({ kind }) => kind === 'large-objects')
  return [
    opening(manifest),
    whereTo(manifest),
    areWhole(manifest),
    decrypt(manifest),
    makeRoles,
    makeDatabase,
    loadDatabase({ largeObjects: objects }),
    compareCounts,
    setProperties,
    tidyUp,
    whenItComplains,
  ].join('\n')
}

function opening({
  backup,
  source,
  sequence,
  snapshotTime,
  postgres,
  recipients,
  compression,
}: Described): string {
  return `# Restoring this backup without coffre

Backup \`${backup}\` of the source \`${source}\`, its number ${sequence}: the database as it was at ${snapshotTime}
(PostgreSQL ${postgres.server}). Any one of these secret keys opens it:

${recipients.map(({ fingerprint, subkey }) => `- key ${fingerprint}, encryption subkey ${subkey}`).join('\n')}

**First make sure that this page is genuine.** Whoever can write to the place it came from can write another page.
"Restoring without coffre" in your kit or in coffre's documentation (docs/restore-without-coffre.md) has the lines: the
root's fingerprint, the keyring, the manifest, and only then this page. Do not go on before those lines said so.

What you need:

- a copy of the whole folder this page lies in, on this machine;
- one of the secret keys above in gpg's keyring: \`gpg --import KEYFILE\`, then \`gpg --list-secret-keys\`;
- bash, gpg, sha256sum, ${compression.algorithm}, and PostgreSQL's psql and pg_restore, of version ${postgres.minimumPgRestore} or newer
  (psql must know \\restrict: 14.19, 15.14, 16.10, 17.6 or newer of each);
- a PostgreSQL server of version ${major(postgres.server)} or newer, and a superuser on it.

How to go on: in the folder this page lies in, in one bash, paste one block after the other, each whole. After each, wait for
its \`OK\`. Where it says \`STOP\`, read the lines above that, look at "When something complains" at the end, and paste
the same block again; later blocks refuse to run until it is OK. Nothing here touches a database that exists already. If
the shell was lost, paste blocks 1 and 2 again in a new one (block 1 stops where the database is made already: that is well
then), and set DONE to the last step that had been OK, as in \`DONE=5\`.
`
}

function whereTo({ postgres }: Described): string {
  return `## 1. Say where to

Set what differs from these. The server is found by PGHOST, PGPORT and PGUSER; the password goes into ~/.pgpass.

\`\`\`text
export PGHOST=localhost PGUSER=postgres
DATABASE=restored          # the new database's name: letters, digits and _
PLAIN=/mnt/private/plain   # a folder for the decrypted files, on a disk you trust; as it stands: plain, in this folder
\`\`\`

${firstBlock({ oldest: major(postgres.server), page: 'RESTORE.md', folder: '$PWD/plain' })}`
}

function areWhole({ artifacts }: Described): string {
  return `## 2. The files are whole

Only the files named here belong to the backup. Any other file in this folder is not to be trusted, and is not used.

\`\`\`sh
sums() {
  cat <<'SUMS'
${artifacts.map(({ name, sha256 }) => `${sha256}  ${name}`).join('\n')}
SUMS
}
(
  set -euo pipefail
  after 1
  sums | sha256sum --check --quiet
)
ended 2 $?
\`\`\`
`
}

function decrypt({ compression, plainBytes }: Described): string {
  const expand = compression.algorithm === 'zstd' ? 'zstd -q -d -f --rm' : 'gzip -d -f'
  return `## 3. Decrypt them

The decrypted files are your data in the clear, about ${megabytes(plainBytes)} MB, and all of it must fit. The last step deletes
them. gpg asks for the secret key's passphrase.

\`\`\`sh
export GPG_TTY="$(tty || true)"
(
  set -euo pipefail
  after 2
  umask 077
  mkdir -p "$PLAIN/rows"
  for sealed in $(sums | sed 's/^[0-9a-f]*  //'); do
    echo "$sealed"
    gpg --quiet --yes --output "$PLAIN/\${sealed%.gpg}" --decrypt "$sealed"
    ${expand} "$PLAIN/\${sealed%.gpg}"
  done
)
ended 3 $?
\`\`\`
`
}

function major(version: string): number {
  return Number.parseInt(version, 10)
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1_000_000)
}
