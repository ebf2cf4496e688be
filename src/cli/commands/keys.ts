/**
 * coffre keys create, split, combine. Shares and passphrases come from a prompt that shows nothing, a file or standard input, never
 * from an argument; a share is written into one file of its own, and only combine prints a secret: it is asked for.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CoffreError } from '../../errors.ts'
import { isProtected } from '../../openpgp/keys.ts'
import { createKey } from '../../operations/create-key.ts'
import { splitKey, type SplitKey } from '../../operations/split-key.ts'
import {
  isScanned,
  linesOfShare,
  readLine,
  readScanned,
  readShares,
  shareOf,
  type Share,
} from '../../shares/share-text.ts'
import { combineShares, passphraseOf } from '../../shares/sharing.ts'
import { passphraseFor } from '../identity.ts'
import { readKeyFile, type Session } from '../session.ts'

export interface KeysCreateOptions {
  readonly to: string
  readonly name: string
  readonly email: string
  readonly rsa?: boolean
  /** In seconds. */
  readonly valid?: number
  readonly threshold: number
  readonly shares: number
}

const thirteenMonthsDays = 396
const daySeconds = 86_400

export interface KeysSplitOptions {
  readonly to: string
  readonly threshold: number
  readonly shares: number
  readonly passphraseFile?: string
}

export async function keysCreateCommand(session: Session, options: KeysCreateOptions): Promise<void> {
  const folder = resolve(session.host.folder, options.to)
  const { name, email, threshold, shares: count, valid = thirteenMonthsDays * daySeconds } = options
  const validDays = Math.ceil(valid / daySeconds)
  const kind = options.rsa === true ? 'rsa4096' : 'ed25519'
  const made = await createKey(session.context, { name, email, kind, validDays, threshold, count })
  const { fingerprint, set } = made
  const publicKey = `${fingerprint}.asc`
  const revocation = `${fingerprint}-revocation.asc`
  const more = new Map([
    [publicKey, made.publicKey],
    [revocation, made.revocation],
  ])
  const files = await writeAll(folder, made, more)
  const document = { fingerprint, set, threshold, count, validDays, folder, ...files, publicKey, revocation }
  session.print(document, created(folder, { ...files, publicKey, revocation }, options))
}

export async function keysSplitCommand(
  session: Session,
  key: string,
  options: KeysSplitOptions,
): Promise<void> {
  const folder = resolve(session.host.folder, options.to)
  const secretKey = await readKeyFile(resolve(session.host.folder, key))
  const passphrase = (await isProtected(secretKey))
    ? await passphraseFor(session, key, options.passphraseFile)
    : undefined
  const { threshold, shares: count } = options
  const made = await splitKey({ secretKey, passphrase, threshold, count })
  const files = await writeAll(folder, made)
  const { fingerprint, set } = made
  session.print(
    { fingerprint, set, threshold, count, folder, ...files },
    outcome(key, folder, files, options),
  )
}

interface Files {
  readonly key: string
  readonly shares: readonly string[]
}

/** Into a new folder, each file its owner's alone, and read back: none of this can be made a second time. */
async function writeAll(
  folder: string,
  { fingerprint, secretKey, shares }: SplitKey,
  more: ReadonlyMap<string, string> = new Map(),
): Promise<Files> {
  await mkdir(folder, { recursive: false, mode: 0o700 }).catch((cause: unknown) => {
    throw new CoffreError('ERR_EXISTS', `cannot make the folder ${folder}`, {
      cause,
      hint: 'name a new folder, in one that exists: shares of several sets in one place get mixed up',
    })
  })
  const key = `${fingerprint}-sealed.asc`
  const names = shares.map(({ index }) => `share-${index}-of-${shares.length}.txt`)
  const contents = new Map([
    ...more,
    [key, secretKey],
    ...shares.map(({ text }, at): [string, string] => [names[at] ?? '', text]),
  ])
  for (const [name, text] of contents) {
    const file = join(folder, name)
    await writeFile(file, text, { flag: 'wx', mode: 0o600, flush: true })
    if ((await readFile(file, 'utf8')) !== text)
      throw new CoffreError('ERR_NOT_STORED', `${file} was not written whole`)
  }
  return { key, shares: names }
}

function created(
  folder: string,
  files: Files & { readonly publicKey: string; readonly revocation: string },
  options: KeysCreateOptions,
): string {
  return [
    `${folder} holds a new key, and ${options.shares} shares of its passphrase, of which any ${options.threshold} give it:`,
    `  ${files.publicKey}   the public key: it goes to the database's machine, as --recipient of coffre init`,
    `  ${files.key}   the secret key: keep copies in two places; it opens nothing without the shares`,
    `  ${files.revocation}   says that the key is not to be used any more: keep it apart, unpublished`,
    ...files.shares.map((name) => `  ${name}`),
    '',
    'Now:',
    '  - give each share to another person, on paper, and delete the share files from this machine',
    '  - have two of them try it: coffre keys combine',
  ].join('\n')
}

function outcome(old: string, folder: string, { key, shares }: Files, options: KeysSplitOptions): string {
  return [
    `${folder} holds the key under a new passphrase, and ${options.shares} shares of which any ${options.threshold} give it:`,
    `  ${key}   keep copies in two places; it opens nothing without the shares`,
    ...shares.map((name) => `  ${name}`),
    '',
    'Now:',
    '  - give each share to another person, on paper, and delete the share files from this machine',
    '  - have two of them try it: coffre keys combine',
    `  - only then destroy ${old} and every other copy of the key that opens without the shares`,
  ].join('\n')
}

export async function keysCombineCommand(session: Session): Promise<void> {
  const { ask } = session.host.terminal
  const shares =
    ask === undefined
      ? readShares((await session.host.readInput()).toString('utf8'))
      : await askForShares(session, ask)
  const secret = await combineShares(shares)
  const passphrase = passphraseOf(secret).toString()
  secret.fill(0)
  session.print({ passphrase }, passphrase)
}

type Ask = NonNullable<Session['host']['terminal']['ask']>

/** As many as the first one says are needed; a mistyped line is asked for again, at once. */
async function askForShares(session: Session, ask: Ask): Promise<readonly Share[]> {
  session.say('Type each line of a share as it stands, or scan its code. What you type is not shown.')
  const shares: Share[] = []
  while (shares.length < (shares[0]?.threshold ?? 1)) {
    const share = await askForShare(session, ask, `share number ${shares.length + 1}`)
    session.say(
      `That was share ${share.index} of ${share.count}, set ${share.set}; ${share.threshold} are needed.`,
    )
    shares.push(share)
  }
  return shares
}

async function askForShare(session: Session, ask: Ask, where: string): Promise<Share> {
  for (;;) {
    const parts: string[] = []
    try {
      while (parts.length < linesOfShare) {
        const typed = await ask(`${where}, line ${parts.length + 1} of ${linesOfShare}: `, { hidden: true })
        if (isScanned(typed)) return readScanned(typed, where)
        const part = tryLine(session, typed, parts.length + 1, where)
        if (part !== undefined) parts.push(part)
      }
      return shareOf(parts, where)
    } catch (error) {
      if (!(error instanceof CoffreError) || error.code !== 'ERR_SHARE') throw error
      session.say(`${error.message}; ${error.hint}. Once more, from its first line.`)
    }
  }
}

function tryLine(session: Session, typed: string, number: number, where: string): string | undefined {
  try {
    return readLine(typed, number, where)
  } catch (error) {
    if (!(error instanceof CoffreError) || error.code !== 'ERR_SHARE') throw error
    session.say(`${error.message}: once more`)
    return undefined
  }
}
