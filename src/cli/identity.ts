/** The identity a command was given: a secret key's file, its passphrase from a file or from the keyboard, never from the environment. */
import { readFile } from 'node:fs/promises'
import { CoffreError } from '../errors.ts'
import { isProtected, readIdentity, type Identity } from '../openpgp/keys.ts'
import { readKeyFile, type Session } from './session.ts'

export interface IdentityOptions {
  readonly identity?: string
  readonly passphraseFile?: string
}

/** Throws ERR_NO_IDENTITY when it cannot be unlocked, ERR_USAGE when none was given. */
export async function identityFrom(
  session: Session,
  { identity, passphraseFile }: IdentityOptions,
): Promise<Identity> {
  if (identity === undefined) {
    throw new CoffreError('ERR_USAGE', 'a backup is opened with a secret key, and none was given', {
      hint: 'add --identity FILE: what gpg --armor --export-secret-keys FINGERPRINT wrote, on a machine that may hold it',
    })
  }
  const bytes = await readKeyFile(identity)
  if (!(await isProtected(bytes))) return await readIdentity(bytes, undefined)
  if (passphraseFile !== undefined) return await readIdentity(bytes, await readPassphrase(passphraseFile))
  const { ask } = session.host.terminal
  if (ask === undefined) {
    throw new CoffreError(
      'ERR_NO_IDENTITY',
      `${identity} is protected by a passphrase, and nobody is there to be asked`,
      {
        hint: 'add --passphrase-file FILE',
      },
    )
  }
  return await readIdentity(bytes, Buffer.from(await ask(`passphrase of ${identity}: `, { hidden: true })))
}

/** The file's content without the newline an editor puts at its end. */
async function readPassphrase(file: string): Promise<Buffer> {
  try {
    const bytes = await readFile(file)
    return bytes.at(-1) === 10 ? bytes.subarray(0, -1) : bytes
  } catch (cause) {
    throw new CoffreError('ERR_USAGE', `cannot read the passphrase file ${file}`, { cause })
  }
}
