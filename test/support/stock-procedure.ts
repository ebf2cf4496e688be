/**
 * The pages people follow when there is no coffre, run as they are written: the ```sh blocks of a page, in bash, with only
 * the programs the pages ask for on the PATH (so neither node nor coffre), and a private GnuPG home.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GnupgHome } from '../unit/openpgp-gnupg.ts'
import { home } from './coffre.ts'

/** What the pages name, and the small change of any system. */
const programs =
  'bash cat chmod cp gpg gpg-agent gpgconf gpgv grep gzip mkdir mktemp od pg_restore psql rm rmdir sed sha256sum tr tty zstd'

export const page = readFileSync(join(home, 'docs/restore-without-coffre.md'), 'utf8')

/** The ```sh blocks of a page, in order, as written. Fails the test where there is none. */
export function shellBlocks(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
  assert.ok(blocks.length > 0, 'the page has no ```sh block')
  // People paste these: an interactive bash would look for `!word` in its history, quoted or not.
  for (const block of blocks) assert.doesNotMatch(block, /![^\s=(]/)
  return blocks
}

export interface Told {
  readonly status: number | null
  /** Both streams, as they came. */
  readonly said: string
}

export class StockMachine implements Disposable {
  readonly gnupg = new GnupgHome()
  readonly #bin = mkdtempSync(join(tmpdir(), 'coffre-stock-'))

  constructor() {
    for (const program of programs.split(' ')) symlinkSync(find(program), join(this.#bin, program))
  }

  /** Sets the variables and runs the blocks in one bash, in a folder. */
  async run(
    blocks: readonly string[],
    options: { readonly cwd: string; readonly variables: Readonly<Record<string, string>> },
  ): Promise<Told> {
    const { LD_LIBRARY_PATH: libraries } = process.env
    const env = {
      PATH: this.#bin,
      HOME: this.#bin,
      TMPDIR: this.#bin,
      GNUPGHOME: this.gnupg.path,
      LANG: 'C.UTF-8',
      ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries }),
      ...options.variables,
    }
    const bash = spawn(join(this.#bin, 'bash'), ['-c', blocks.join('\n')], {
      cwd: options.cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [bash.stdout, bash.stderr])
      stream.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
    const [status] = (await once(bash, 'close')) as [number | null]
    return { status, said }
  }

  [Symbol.dispose](): void {
    this.gnupg.close()
    rmSync(this.#bin, { recursive: true, force: true })
  }
}

function find(program: string): string {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return assert.fail(`${program} is not installed`)
}

/** A folder for a restore to work in. */
export function workFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'coffre-restore-'))
  mkdirSync(path, { recursive: true })
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
