/** A real S3 server for the time of a run, by the scripts beside this file. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface RunningS3 {
  /** COFFRE_TEST_S3_ENDPOINT and its keys, and what else the server says of itself, for those who use it. */
  readonly environment: Readonly<Record<string, string>>
  stop(): void
}

/** The system's own; with the address of a key service (`key-service.ts`) a newer one, in a chroot, as root. */
export function startS3(keyService?: string): RunningS3 {
  const newer = keyService !== undefined
  const script = join(import.meta.dirname, newer ? 's3-server-newer' : 's3-server')
  // Inside of a chroot the path is another: there it makes its own.
  const own = newer
    ? { COFFRE_S3_VAULT: keyService }
    : { COFFRE_S3_DIR: mkdtempSync(join(tmpdir(), 'coffre-test-s3-')) }
  const env = { ...process.env, ...own }
  const lines = execFileSync(script, ['start'], { env, encoding: 'utf8' }).split('\n')
  const facts = lines
    .filter((line) => line.includes('='))
    .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
  const environment: Record<string, string> = Object.fromEntries(
    facts.map(([name, value]) => [name.replace(/^COFFRE_S3_/, 'COFFRE_TEST_S3_'), value]),
  )
  const COFFRE_S3_DIR = environment['COFFRE_TEST_S3_DIR'] ?? ''
  return {
    environment: { ...environment, COFFRE_TEST_S3_SCRIPT: script },
    stop: () =>
      void execFileSync(script, ['stop'], {
        env: { ...env, COFFRE_S3_DIR },
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
  }
}
