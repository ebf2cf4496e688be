/**
 * The installed gpg, in a home of its own that is removed afterwards: proof that coffre is not needed to read what it
 * wrote. Nothing of the user's own keyring is seen or touched.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CoffreError } from '../errors.ts'

const run = promisify(execFile)

export interface StockGpg extends AsyncDisposable {
  /** `gpg (GnuPG) 2.2.40` */
  readonly version: string
  /** Decrypts `sealed` into a new file. Throws ERR_PROGRAM unless gpg ended with status 0. */
  decrypt(sealed: string, plain: string): Promise<void>
}

/** `secretKey`: armored, without a passphrase. */
export async function openStockGpg(
  secretKey: string,
  environment: Readonly<Record<string, string>>,
): Promise<StockGpg> {
  const home = await mkdtemp(join(tmpdir(), 'coffre-gpg-'))
  const env = { ...environment, GNUPGHOME: home }
  const gpg = async (args: readonly string[]): Promise<string> => {
    try {
      return (await run('gpg', ['--batch', '--no-tty', '--no-auto-key-locate', ...args], { env })).stdout
    } catch (cause) {
      throw new CoffreError('ERR_PROGRAM', `gpg ${args[0] ?? ''} failed`, {
        cause,
        hint: 'scripts/system-packages demo gets gnupg',
      })
    }
  }
  const keyFile = join(home, 'identity.asc')
  await writeFile(keyFile, secretKey, { mode: 0o600 })
  await gpg(['--import', keyFile])
  const [version = ''] = (await gpg(['--version'])).split('\n')
  return {
    version,
    decrypt: async (sealed, plain) => {
      await gpg(['--output', plain, '--decrypt', sealed])
    },
    [Symbol.asyncDispose]: async () => {
      const ending = spawn('gpgconf', ['--kill', 'all'], { env, stdio: 'ignore' })
      await once(ending, 'close').catch(() => undefined)
      await rm(home, { recursive: true, force: true })
    },
  }
}
