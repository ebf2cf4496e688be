/**
 * PostgreSQL's own regression database, made by its own programs: pg_regress runs the whole schedule of the source package
 * against a throw-away server and leaves the database `regression` behind. It leaves to others to get the source package
 * (scripts/test-regress) and to judge what comes of it.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { clientEnvironment } from '../../src/postgres/client-tools.ts'
import { ScratchCluster } from '../../src/postgres/scratch-cluster.ts'

export interface RegressionDatabase extends AsyncDisposable {
  /** `host=… user=…`, as test/support/postgres.ts takes it. */
  readonly server: string
  readonly name: 'regression'
  /** The last lines of pg_regress: how many tests passed. */
  readonly verdict: string
}

/** The server's user, who runs pg_regress too: tests have the server write into pg_regress's folders. */
interface Runner {
  readonly uid: number
  readonly gid: number
  readonly cwd: string
  /** A file for the program to read; default: nothing. */
  readonly input?: string
}

/** Runs a program to its end; its output and status. Fails the test unless the status is one of `statuses`. */
async function run(
  program: string,
  args: readonly string[],
  { input, ...as }: Runner,
  statuses: readonly number[] = [0],
): Promise<string> {
  const env = clientEnvironment(process.env)
  const child = spawn(program, [...args], { ...as, env, stdio: ['pipe', 'pipe', 'pipe'] })
  const [out, err, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
    input === undefined ? child.stdin.end() : pipeline(createReadStream(input), child.stdin),
  ])
  assert.ok(
    statuses.includes(Number(status)),
    `${program} ended with ${status}\n${out.slice(-3000)}\n${err.slice(-3000)}`,
  )
  return out
}

/** Unpacks src/test/regress of the tarball; returns the folder that holds sql, expected, data and the schedule. */
async function unpack(tarball: string, runner: Runner): Promise<string> {
  const pick = ['--extract', '--bzip2', '--strip-components=1', '--wildcards', '*/src/test/regress']
  // By standard input: the server's user may not be able to reach the checkout.
  await run('tar', pick, { ...runner, input: tarball })
  return join(runner.cwd, 'src/test/regress')
}

/** regress.so is compiled; the two libraries that the tests take from contrib come with the server. */
async function provideLibraries(sources: string, folder: string, runner: Runner): Promise<void> {
  const config = async (what: string): Promise<string> => (await run('pg_config', [what], runner)).trim()
  const flags = ['-O1', '-fPIC', '-shared', '-w', '-I', await config('--includedir-server')]
  await run('cc', [...flags, '-o', join(folder, 'regress.so'), join(sources, 'regress.c')], runner)
  const installed = await config('--pkglibdir')
  for (const library of ['autoinc.so', 'refint.so'])
    symlinkSync(join(installed, library), join(folder, library))
}

/**
 * Takes a minute or two on two cores. A test of PostgreSQL's that fails (a locale, another minor version) is no failure
 * here: the database only has to be there, and rich.
 */
export async function makeRegressionDatabase(tarball: string): Promise<RegressionDatabase> {
  const settings = {
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    max_prepared_transactions: '10',
    autovacuum: 'off',
  }
  const cluster = await ScratchCluster.start({
    environment: clientEnvironment(process.env),
    signal: new AbortController().signal,
    settings,
  })
  const folder = mkdtempSync(join(tmpdir(), 'coffre-regress-'))
  const dispose = async (): Promise<void> => {
    await cluster[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const { uid, gid } = statSync(join(cluster.folder, 'data'))
    chownSync(folder, uid, gid)
    const runner = { uid, gid, cwd: folder }
    const sources = await unpack(tarball, runner)
    const output = join(folder, 'output')
    mkdirSync(output)
    chownSync(output, uid, gid)
    await provideLibraries(sources, output, runner)
    const programs = (await run('pg_config', ['--bindir'], runner)).trim()
    const pgRegress = join(dirname(programs), 'lib/pgxs/src/test/regress/pg_regress')
    const options = {
      bindir: programs,
      host: cluster.folder,
      user: 'postgres',
      dlpath: output,
      inputdir: sources,
      outputdir: output,
      schedule: join(sources, 'parallel_schedule'),
      'max-concurrent-tests': '20',
    }
    const words = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
    const said = await run(pgRegress, words, { ...runner, cwd: output }, [0, 1])
    assert.ok(readdirSync(join(output, 'results')).length > 100, said.slice(-3000))
    const verdict = /^ ?(?:All|\d+ of) \d+ tests .*$/m.exec(said)?.[0].trim() ?? said.slice(-300)
    const server = `host=${cluster.folder} user=postgres`
    return { server, name: 'regression', verdict, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
