/**
 * A throw-away PostgreSQL server: made by initdb, reachable by a socket in its own folder only, run by an ordinary user
 * (PostgreSQL refuses root), and gone with its folder whatever happens.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CoffreError } from '../errors.ts'
import type { ClientEnvironment } from './client-tools.ts'
import type { ServerAccess } from './conninfo.ts'
import { PsqlSession } from './psql-session.ts'

export interface ScratchOptions {
  readonly environment: ClientEnvironment
  readonly signal: AbortSignal
  /** Server settings, name to value. */
  readonly settings: Readonly<Record<string, string>>
}

interface OrdinaryUser {
  readonly uid: number
  readonly gid: number
}

const startLimitMs = 60_000

export class ScratchCluster implements AsyncDisposable {
  readonly folder: string
  readonly #server: ChildProcess

  private constructor(folder: string, server: ChildProcess) {
    this.folder = folder
    this.#server = server
  }

  /** Throws ERR_PROGRAM when there is no PostgreSQL server here, or it does not start. */
  static async start(options: ScratchOptions): Promise<ScratchCluster> {
    const programs = await serverPrograms(options.environment)
    const user = await ordinaryUser()
    const folder = await mkdtemp(join(tmpdir(), 'coffre-scratch-'))
    const data = join(folder, 'data')
    try {
      await chmod(folder, 0o700)
      if (user !== undefined) await chown(folder, user.uid, user.gid)
      const common = { cwd: folder, env: options.environment, ...user }
      const initdb = spawn(
        join(programs, 'initdb'),
        ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
        { ...common, stdio: ['ignore', 'ignore', 'pipe'] },
      )
      await succeeded(initdb, 'initdb')
      const settings = {
        listen_addresses: '',
        port: '5432',
        unix_socket_directories: folder,
        fsync: 'off',
        full_page_writes: 'off',
        ...options.settings,
      }
      const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const server = spawn(join(programs, 'postgres'), ['-D', data, ...args], {
        ...common,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const cluster = new ScratchCluster(folder, server)
      await cluster.#ready(options)
      return cluster
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** As its superuser, to one of its databases. */
  access(database: string): ServerAccess {
    return {
      prefix: [],
      // Said though they are the default: PGHOSTADDR and PGPORT must not lead to somebody's real server.
      parameters: { host: this.folder, hostaddr: '', port: '5432', user: 'postgres', dbname: database },
      password: undefined,
    }
  }

  async #ready(options: ScratchOptions): Promise<void> {
    let said = ''
    this.#server.stderr?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString('utf8')).slice(-4096)
    })
    for (const end = Date.now() + startLimitMs; Date.now() < end; await sleep(100)) {
      if (options.signal.aborted || this.#server.exitCode !== null) break
      try {
        const session = await PsqlSession.open(this.access('postgres'), {
          ...options,
          applicationName: 'coffre scratch',
        })
        await session.close()
        return
      } catch (error) {
        if (!(error instanceof CoffreError) || error.code !== 'ERR_CONNECT') throw error
      }
    }
    await this[Symbol.asyncDispose]()
    options.signal.throwIfAborted()
    throw new CoffreError(
      'ERR_PROGRAM',
      `the scratch PostgreSQL did not start: ${said.trim().split('\n').at(-1) ?? ''}`,
    )
  }

  /** Immediate shutdown: nothing in it is worth a checkpoint. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.exitCode === null && this.#server.signalCode === null) {
      const ended = once(this.#server, 'exit')
      this.#server.kill('SIGQUIT')
      await ended
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function succeeded(child: ChildProcess, program: string): Promise<void> {
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString('utf8')).slice(-4096)
  })
  const [status] = (await once(child, 'close')) as [number | null]
  if (status !== 0)
    throw new CoffreError(
      'ERR_PROGRAM',
      `${program} failed: ${said.trim().split('\n').at(-1) ?? 'it said nothing'}`,
    )
}

/** The folder of initdb and postgres: on the PATH, or Debian's newest. */
async function serverPrograms(environment: ClientEnvironment): Promise<string> {
  const debian = '/usr/lib/postgresql'
  const versions = await readdir(debian).catch(() => [])
  const newestFirst = versions
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => `${debian}/${version}/bin`)
  for (const folder of [...(environment['PATH'] ?? '').split(':'), ...newestFirst]) {
    const found = await Promise.all([access(join(folder, 'initdb')), access(join(folder, 'postgres'))]).then(
      () => true,
      () => false,
    )
    if (folder !== '' && found) return folder
  }
  throw new CoffreError('ERR_PROGRAM', 'there is no PostgreSQL server on this machine', {
    hint: 'scripts/system-packages demo gets one',
  })
}

/** Whom a server that refuses root is run as; undefined where we are not root. */
export async function ordinaryUser(): Promise<OrdinaryUser | undefined> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  if (!/^Uid:\s+\d+\s+0\s/m.test(status)) return undefined
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const chosen = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (chosen === undefined)
    throw new CoffreError(
      'ERR_PROGRAM',
      'PostgreSQL refuses to run as root, and there is no ordinary user to run it as',
    )
  return { uid: Number(chosen[2]), gid: Number(chosen[3]) }
}
