/**
 * A pg_dump that waits: a folder to put before the PATH of coffre. It tells the snapshot it was asked to dump and goes
 * on only when it is let, so that a test can look into the very snapshot of a backup under way.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './patience.ts'

export interface PausedDump extends Disposable {
  /** For coffre. */
  readonly environment: Readonly<Record<string, string>>
  /** The exported snapshot that a pg_dump waits with, as soon as one does. */
  snapshot(): Promise<string>
  resume(): void
}

const script = `#!/bin/sh
here=\${0%/*}
for word in "$@"; do
  case $word in
    --snapshot=*)
      printf '%s' "\${word#--snapshot=}" > "$here/asked.new"
      mv "$here/asked.new" "$here/asked"
      while [ -d "$here" ] && [ ! -e "$here/go" ]; do sleep 0.05; done
      ;;
  esac
done
PATH=\${PATH#"$here:"} exec pg_dump "$@"
`

export function pauseDumps(): PausedDump {
  const folder = mkdtempSync(join(tmpdir(), 'coffre-test-pause-'))
  writeFileSync(join(folder, 'pg_dump'), script)
  chmodSync(join(folder, 'pg_dump'), 0o755)
  return {
    environment: { PATH: `${folder}:${process.env['PATH']}` },
    snapshot: async () =>
      await eventually('pg_dump is asked for a snapshot', () => {
        try {
          return readFileSync(join(folder, 'asked'), 'utf8')
        } catch {
          return undefined
        }
      }),
    resume: () => writeFileSync(join(folder, 'go'), ''),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}
