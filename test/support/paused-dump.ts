/**
 * A pg_dump that waits, before it begins or when it has done its work: a folder to put before the PATH of coffre. It
 * tells the snapshot it was asked to dump and goes on only when it is let, so that a test can look into the very snapshot
 * of a backup under way.
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

interface PauseOptions {
  /** Before it begins (default), or when it has done its work. */
  readonly at?: 'beginning' | 'end'
  /** How long it waits for locks, instead of what coffre asks for. */
  readonly lockWait?: string
}

const script = ({ at = 'beginning', lockWait = '' }: PauseOptions): string => `#!/bin/sh
here=\${0%/*}
snapshot=
lock_wait=${lockWait}
for word in "$@"; do
  shift
  case $word in
    --snapshot=*) snapshot=\${word#--snapshot=} ;;
    --lock-wait-timeout=*) word=--lock-wait-timeout=\${lock_wait:-\${word#*=}} ;;
  esac
  set -- "$@" "$word"
done
rest=\${PATH#"$here:"}
status=0
if [ ${at} = end ] || [ -z "$snapshot" ]; then PATH=$rest pg_dump "$@"; status=$?; fi
[ -n "$snapshot" ] || exit $status
printf '%s' "$snapshot" > "$here/asked.new"
mv "$here/asked.new" "$here/asked"
while [ -d "$here" ] && [ ! -e "$here/go" ]; do sleep 0.05; done
[ ${at} = beginning ] || exit $status
PATH=$rest exec pg_dump "$@"
`

export function pauseDumps(options: PauseOptions = {}): PausedDump {
  const folder = mkdtempSync(join(tmpdir(), 'coffre-test-pause-'))
  writeFileSync(join(folder, 'pg_dump'), script(options))
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
