/**
 * A PostgreSQL of a test's own that has extensions of the test's own: a copy of the installed one, since a server looks for
 * extensions only in the folder that lies beside its program (before PostgreSQL 18).
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { startOwnServer, type OwnServer } from './own-server.ts'
import { sql } from './postgres.ts'

/** What runs at CREATE EXTENSION; the version is 1.0 where only the script is given. */
type Extension = string | { readonly version: string; readonly script: string }

export async function startExtendedServer(
  extensions: Readonly<Record<string, Extension>>,
): Promise<OwnServer> {
  const facts = await sql(
    'postgres',
    `SELECT setting FROM pg_config() WHERE name IN ('BINDIR', 'SHAREDIR', 'PKGLIBDIR') ORDER BY name`,
  )
  const [bin = '', lib = '', share = ''] = facts.split('\n')
  const folder = mkdtempSync(join(tmpdir(), 'coffre-extended-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    await chmod(folder, 0o755)
    const prefix = commonFolder(bin, share)
    const at = (path: string): string => join(folder, relative(prefix, path))
    mkdirSync(at(bin), { recursive: true })
    for (const program of ['initdb', 'postgres']) copyFileSync(join(bin, program), join(at(bin), program))
    if (!at(lib).startsWith(`${at(bin)}/`)) link(lib, at(lib))
    mkdirSync(join(at(share), 'extension'), { recursive: true })
    for (const name of readdirSync(share).filter((one) => one !== 'extension'))
      link(join(share, name), join(at(share), name))
    const stock = join(share, 'extension')
    for (const name of readdirSync(stock)) link(join(stock, name), join(at(share), 'extension', name))
    for (const [name, extension] of Object.entries(extensions)) {
      const { version, script } =
        typeof extension === 'string' ? { version: '1.0', script: extension } : extension
      writeFileSync(
        join(at(share), 'extension', `${name}.control`),
        `default_version = '${version}'\nrelocatable = false\n`,
      )
      writeFileSync(join(at(share), 'extension', `${name}--${version}.sql`), script)
    }
    const server = await startOwnServer({
      PATH: `${at(bin)}:${process.env['PATH'] ?? ''}`,
      ...(await libraries()),
    })
    return {
      ...server,
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]()
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

function link(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  symlinkSync(from, to)
}

function commonFolder(left: string, right: string): string {
  let folder = left
  while (!right.startsWith(`${folder}/`)) folder = dirname(folder)
  return folder
}

/** Where the tests' own server found its libraries, if it was told. */
async function libraries(): Promise<Record<string, string>> {
  const asked = `CREATE TEMP TABLE told (path text); COPY told FROM PROGRAM 'printenv LD_LIBRARY_PATH || true'; SELECT path FROM told`
  const path = await sql('postgres', asked)
  return path === '' ? {} : { LD_LIBRARY_PATH: path }
}
