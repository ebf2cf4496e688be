/** A PostgreSQL of a test's own, to be stopped, or to be asked for passwords. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { clientEnvironment } from '../../src/postgres/client-tools.ts'
import { ScratchCluster } from '../../src/postgres/scratch-cluster.ts'
import { sql } from './postgres.ts'

export interface OwnServer extends AsyncDisposable {
  /** As `makeDatabase` takes it; the superuser postgres needs no password. */
  readonly server: string
  readonly socketFolder: string
  /** From now on this role must give its password. */
  askPasswordOf(role: string): Promise<void>
  /** At once, as in a crash (SIGQUIT). */
  stopImmediately(): Promise<void>
}

/** `environment`: what is different for its programs. */
export async function startOwnServer(environment: Readonly<Record<string, string>> = {}): Promise<OwnServer> {
  const cluster = await ScratchCluster.start({
    environment: clientEnvironment({ ...process.env, ...environment }),
    signal: new AbortController().signal,
    settings: { shared_buffers: '32MB', autovacuum: 'off' },
  })
  const server = `host=${cluster.folder} user=postgres`
  return {
    server,
    socketFolder: cluster.folder,
    askPasswordOf: async (role) => {
      const file = join(cluster.folder, 'data/pg_hba.conf')
      await writeFile(file, `local all ${role} scram-sha-256\n${await readFile(file, 'utf8')}`)
      await sql('postgres', 'SELECT pg_reload_conf()', [], server)
    },
    stopImmediately: () => cluster[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}
