/**
 * Runs the slow tests against PostgreSQL of every version there is: makes a throw-away cluster in each version's chroot
 * (arguments: the chroots' folders), reached by its socket only and run by an ordinary user; tells the tests where they
 * are; and ends them whatever happens. Only root can do that.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { VersionedServer } from './servers.ts'

const home = dirname(dirname(import.meta.dirname))
const chroot = '/usr/sbin/chroot'
const startLimitMs = 120_000
const clients = ['psql', 'pg_dump', 'pg_dumpall', 'pg_restore', 'pgbench']
const settings = {
  listen_addresses: '',
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '32MB',
  autovacuum: 'off',
  max_prepared_transactions: '5',
  wal_level: 'logical',
}

interface Running extends VersionedServer {
  readonly postmaster: ChildProcess
}

/** Everything that is to be removed. */
const folders: string[] = []
const running: Running[] = []

async function start(root: string, outside: string): Promise<Running> {
  const major = Number(basename(root))
  const bin = `/usr/lib/postgresql/${major}/bin`
  const folder = mkdtempSync(join(root, 'var/tmp/coffre-'))
  folders.push(folder)
  const inside = folder.slice(root.length)
  const prefix = [
    chroot,
    '--userspec=postgres:postgres',
    root,
    '/usr/bin/env',
    '-i',
    `PATH=${bin}:/usr/bin:/bin`,
    `PGHOST=${inside}`,
    'LC_ALL=C',
    'LC_MESSAGES=C',
  ]
  execFileSync(chroot, [root, 'chown', 'postgres:postgres', inside], { stdio: 'inherit' })
  const data = `${inside}/data`
  const [command = '', ...words] = prefix
  const initdb = `initdb -D ${data} -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N`.split(' ')
  execFileSync(command, [...words, ...initdb], { stdio: ['ignore', 'ignore', 'inherit'] })
  const chosen = {
    ...settings,
    unix_socket_directories: inside,
    logging_collector: 'on',
    log_directory: inside,
    log_filename: 'log',
  }
  const set = Object.entries(chosen).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = join(folder, 'log')
  const postmaster = spawn(command, [...words, 'postgres', '-D', data, ...set], { stdio: 'ignore' })
  // A socket's path has at most 107 bytes: it is reached by a short one.
  const socket = join(outside, String(major))
  symlinkSync(folder, socket)
  const said = execFileSync(command, [...words, 'postgres', '--version'], { encoding: 'utf8' })
  const one = {
    major,
    version: /\) (\S+)/.exec(said)?.[1] ?? said,
    server: `host=${socket} user=postgres`,
    prefix,
    programs: outsidePrograms(root, major, join(outside, `programs-${major}`)),
    postmaster,
  }
  running.push(one)
  await ready(one, log)
  return one
}

async function ready({ prefix, postmaster, version }: Running, log: string): Promise<void> {
  const [command = '', ...words] = prefix
  for (
    const end = Date.now() + startLimitMs;
    Date.now() < end && postmaster.exitCode === null;
    await sleep(200)
  ) {
    try {
      execFileSync(command, [...words, 'pg_isready', '-q'], { stdio: 'ignore' })
      return
    } catch {
      // Not yet.
    }
  }
  throw new Error(`PostgreSQL ${version} did not start: see ${log}`)
}

/**
 * Wrappers that start the client programs of a chroot from outside it, by its own dynamic loader and libraries; no other
 * program sees those. `--argv0`: pg_dumpall looks for pg_dump beside itself.
 */
function outsidePrograms(root: string, major: number, folder: string): string {
  mkdirSync(folder)
  const machine = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  const libraries = [join(root, 'lib', machine), join(root, 'usr/lib', machine)]
  const [loader] = libraries.flatMap((path) => globSync(join(path, 'ld-linux-*.so.*')))
  if (loader === undefined) throw new Error(`${root} has no dynamic loader`)
  for (const name of clients) {
    const program = join(root, `usr/lib/postgresql/${major}/bin`, name)
    const wrapper = join(folder, name)
    const start = `exec '${loader}' --library-path '${libraries.join(':')}' --argv0 "$0" '${program}' "$@"`
    writeFileSync(wrapper, `#!/bin/sh\n${start}\n`)
    chmodSync(wrapper, 0o755)
  }
  return folder
}

/** Immediate shutdown: nothing in them is worth a checkpoint. */
async function stopAll(): Promise<void> {
  for (const { postmaster } of running) {
    if (postmaster.exitCode === null && postmaster.signalCode === null) {
      const ended = once(postmaster, 'exit')
      postmaster.kill('SIGQUIT')
      await ended
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort())

const words = process.argv.slice(2)
const roots = words.filter((word) => word.startsWith('/'))
const options = words.filter((word) => word.startsWith('-'))
const files = words.filter((word) => /^[^/-]/.test(word))
const outside = mkdtempSync(join(tmpdir(), 'coffre-versions-'))
chmodSync(outside, 0o755)
folders.push(outside)
try {
  for (const root of roots) {
    if (!abort.signal.aborted) await start(root, outside)
  }
  const told = running.map(({ major, version, server, prefix, programs }) => ({
    major,
    version,
    server,
    prefix,
    programs,
  }))
  console.error(`PostgreSQL ${told.map(({ version }) => version).join(', ')}`)
  const runner = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--test',
      '--test-concurrency=2',
      '--test-timeout=900000',
      ...options,
      ...(files.length > 0 ? files : globSync('test/versions/*.test.ts', { cwd: home }).toSorted()),
    ],
    { cwd: home, stdio: 'inherit', env: { ...process.env, COFFRE_TEST_VERSIONS: JSON.stringify(told) } },
  )
  abort.signal.addEventListener('abort', () => runner.kill('SIGTERM'))
  const [status] = (await once(runner, 'close')) as [number | null]
  process.exitCode = abort.signal.aborted ? 130 : (status ?? 1)
} finally {
  await stopAll()
}
