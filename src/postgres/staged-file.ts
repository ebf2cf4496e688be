/**
 * Files for a program behind a command prefix, which hands on nothing but standard input: a shell there writes them to
 * memory, nameless before they hold a byte, and becomes the program, which opens them as /dev/fd/4 and /dev/fd/5. Nothing is left,
 * however it ends. The script is the same always; what differs reaches it as arguments.
 */
import type { StartOptions } from './client-tools.ts'
import { startClient } from './client-tools.ts'
import type { ServerAccess } from './conninfo.ts'

const nameless = `set -e; umask 077
file=$(mktemp /dev/shm/coffre-XXXXXXXXXX); exec 4<>"$file"; rm -f "$file"; file=$(mktemp /dev/shm/coffre-XXXXXXXXXX); exec 5<>"$file"; rm -f "$file"
test -r /dev/fd/4; test -r /dev/fd/5`

/** `read` takes no byte more than a line from a pipe (POSIX, read), so the rest is there for `cat`. */
const script = `${nameless}
end=$1; shift
while IFS= read -r line && [ "$line" != "$end" ]; do printf '%s\\n' "$line"; done >&5
cat >&4
exec "$@" </dev/null`

/**
 * Words before the program and its arguments. Its standard input then holds the lines of the second file, a line that is
 * `end`, and the first file.
 */
export function stagedBy(end: string): readonly string[] {
  return ['sh', '-c', script, 'coffre', end]
}

/** Whether there is a shell behind the prefix, and memory to write to. */
export async function canStage(access: ServerAccess, options: StartOptions): Promise<boolean> {
  try {
    const wrap = ['sh', '-c', `${nameless}; exec "$@"`, 'coffre']
    const client = await startClient(access, 'pg_restore', ['--version'], { ...options, wrap })
    client.stdin.end()
    client.stdout.resume()
    await client.done
    return true
  } catch (error) {
    options.signal?.throwIfAborted()
    // Whatever is wrong with pg_restore itself is told by the run that comes.
    if (error instanceof Error) return false
    throw error
  }
}
