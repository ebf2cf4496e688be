/** Where the bench ran, and with what: read from the machine and asked of the programs. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'

export function machineFacts(s3: string): readonly (readonly [fact: string, value: string])[] {
  return [
    ['Date', new Date().toISOString().slice(0, 10)],
    ['Processor', `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`],
    ['Memory', `${(totalmem() / 1e9).toFixed(0)} GB`],
    ['System', `${systemName()}, Linux ${release()}`],
    ['PostgreSQL', said('postgres', '-V') ?? said('pg_dump', '-V') ?? 'unknown'],
    ['Node', process.version],
    ['S3 server', s3],
    ...['gpg', 'zstd', 'gzip', 'restic', 'pgbackrest'].map(
      (program) =>
        [
          program,
          said(program, program === 'restic' || program === 'pgbackrest' ? 'version' : '--version') ??
            'not installed',
        ] as const,
    ),
  ]
}

function systemName(): string {
  return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
}

/** The first line. */
function said(program: string, option: string): string | undefined {
  try {
    return execFileSync(program, [option], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    )[0]
  } catch {
    return undefined
  }
}
