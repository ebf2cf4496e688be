/**
 * The PostgreSQL servers of other versions that `npm run test:versions` started, and the two ways to reach one: by its
 * socket from outside, and through a command prefix, so that the client programs of its own version do the work.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { makeWorkshop, type Workshop, type WorkshopOptions } from '../support/coffre.ts'

export interface VersionedServer {
  readonly major: number
  /** `14.24`. */
  readonly version: string
  /** `host=… user=postgres`: its socket, from outside; as test/support/postgres.ts takes it. */
  readonly server: string
  /** Words that start a program inside, as an ordinary user, with that version's client programs on its PATH. */
  readonly prefix: readonly string[]
  /** A folder of that version's client programs, to be started from outside. */
  readonly programs: string
}

/** Oldest first; also 13, which coffre refuses. */
export const everyServer: readonly VersionedServer[] = JSON.parse(
  process.env['COFFRE_TEST_VERSIONS'] ?? assert.fail('run these tests by npm run test:versions'),
) as readonly VersionedServer[]

export const oldestSupported = 14
export const supported = everyServer.filter(({ major }) => major >= oldestSupported)

/** As under `sources:`, all through the prefix. */
export function insideSource({ prefix }: VersionedServer, database: string): Record<string, unknown> {
  return { database, user: 'postgres', run: prefix, jobs: 2 }
}

/** The name in `sources:` of a version's server, for `--to-source`. */
export function placeName(major: number): string {
  return `server-${major}`
}

/** A workshop whose first source is `source`, and which can restore into every server through its prefix. */
export async function workshopFor(
  source: Readonly<Record<string, unknown>>,
  more: Partial<WorkshopOptions> = {},
): Promise<Workshop> {
  const places = everyServer.map((one) => [placeName(one.major), insideSource(one, 'postgres')] as const)
  return await makeWorkshop({ sources: { source, ...Object.fromEntries(places) }, ...more })
}

/** The environment in which coffre finds the client programs of one version. */
export function withPrograms({ programs }: VersionedServer): Record<string, string> {
  return { PATH: `${programs}:${process.env['PATH']}` }
}

/** The words after `restore`: the newest backup into a server, through its prefix. */
export function intoInside(
  workshop: Workshop,
  { major }: VersionedServer,
  database: string,
): readonly string[] {
  return [
    'restore',
    'latest',
    '--source',
    'source',
    ...toPlace(major, database),
    '--identity',
    workshop.identity(),
  ]
}

function toPlace(major: number, database: string): readonly string[] {
  return ['--to-source', placeName(major), '--database', database]
}

/** What the hazards of these tests are written in. */
export const hazardsFile = join(import.meta.dirname, 'hazards.sql')
