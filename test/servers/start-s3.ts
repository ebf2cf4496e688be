/** A real S3 server for the time of a run, by the script beside this file. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const script = join(import.meta.dirname, 's3-server')

export interface RunningS3 {
  /** COFFRE_TEST_S3_ENDPOINT and its keys, for those who use it. */
  readonly environment: Readonly<Record<string, string>>
  stop(): void
}

export function startS3(): RunningS3 {
  const env = { ...process.env, COFFRE_S3_DIR: mkdtempSync(join(tmpdir(), 'coffre-test-s3-')) }
  const lines = execFileSync(script, ['start'], { env, encoding: 'utf8' }).split('\n')
  const facts = lines
    .filter((line) => line.includes('='))
    .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
  return {
    environment: Object.fromEntries(
      facts.map(([name, value]) => [name.replace(/^COFFRE_S3_/, 'COFFRE_TEST_S3_'), value]),
    ),
    stop: () => void execFileSync(script, ['stop'], { env, stdio: ['ignore', 'ignore', 'inherit'] }),
  }
}
