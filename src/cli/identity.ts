/**
 * The identity a command was given: a secret key's file, its passphrase from a file or from the keyboard, never from the
 * environment; or `gpg`, and then the user's own gpg-agent opens the session keys, from a smart card for instance.
 */
import { readFile } from 'node:fs/promises'
import { CoffreError } from '../errors.ts'
import { isProtected, readGpgIdentity, readIdentity, type Identity } from '../openpgp/keys.ts'
import { readKeyFile, type Session } from './session.ts'

export interface IdentityOptions {
  /** A file; `gpg`; or `gpg:FINGERPRINT`. */
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
      hint: 'add --identity FILE (what gpg --armor --export-secret-keys FINGERPRINT wrote), or --identity gpg for a key or smart card that gpg has here',
    })
  }
  if (/^gpg(:|$)/.test(identity)) return await gpgIdentity(session, identity.slice(4), passphraseFile)
  const bytes = await readKeyFile(identity)
  if (!(await isProtected(bytes))) return await readIdentity(bytes, undefined)
  return await readIdentity(bytes, await passphraseFor(session, identity, passphraseFile))
}

/** From a file or from the keyboard. Throws ERR_NO_IDENTITY where nobody is there to be asked. */
export async function passphraseFor(
  session: Session,
  identity: string,
  passphraseFile: string | undefined,
): Promise<Buffer> {
  if (passphraseFile !== undefined) return await readPassphrase(passphraseFile)
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
  return Buffer.from(await ask(`passphrase of ${identity}: `, { hidden: true }))
}

async function gpgIdentity(
  session: Session,
  named: string,
  passphraseFile: string | undefined,
): Promise<Identity> {
  const fingerprint = named.replaceAll(/\s|^0x/g, '').toUpperCase()
  if (fingerprint !== '' && !/^[0-9A-F]{40}$/.test(fingerprint)) {
    throw new CoffreError('ERR_USAGE', `--identity gpg:${named} is not a full fingerprint, 40 digits`, {
      hint: 'gpg --list-secret-keys --with-subkey-fingerprint shows them; a file called so is ./gpg',
    })
  }
  return await readGpgIdentity({
    environment: gpgEnvironment(session.host.environment),
    fingerprint: fingerprint === '' ? undefined : fingerprint,
    passphrase: passphraseFile === undefined ? undefined : await readPassphrase(passphraseFile),
    signal: session.context.signal,
  })
}

/** What gpg needs to find its home and the agent, and the agent to ask on a terminal or a screen. */
const passedToGpg =
  /^(PATH|HOME|USER|LOGNAME|LD_LIBRARY_PATH|GNUPGHOME|GPG_TTY|TERM|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|XDG_\w+|DBUS_SESSION_BUS_ADDRESS|PINENTRY_USER_DATA)$/

/** A passphrase is typed in the user's own character set; gpg's messages are in English. */
function gpgEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const { LC_ALL, LC_CTYPE, LANG } = environment
  const kept = Object.entries(environment).filter(
    (entry): entry is [string, string] => passedToGpg.test(entry[0]) && entry[1] !== undefined,
  )
  return { ...Object.fromEntries(kept), LC_CTYPE: LC_ALL || LC_CTYPE || LANG || 'C', LC_MESSAGES: 'C' }
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
