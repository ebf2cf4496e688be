/**
 * An Identity whose secret stays with the user's own gpg-agent: a smart card, or a key protected there. Stock gpg is given
 * an artifact's wrapped session key and a few bytes of noise where the body would be, and says the session key over a
 * descriptor of its own: never in an argument, a file or a log. The bulk of the data never passes through gpg.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { CoffreError } from '../errors.ts'
import { writeLength, writeTag, tags } from './packets.ts'
import type { Identity } from './secret-key.ts'

export interface GpgRequest {
  /** What gpg and the agent's pinentry may see: GNUPGHOME, GPG_TTY, DISPLAY and so on. */
  readonly environment: Readonly<Record<string, string>>
  /** Use this key alone, by its full fingerprint or a subkey's; undefined: any secret key gpg has. */
  readonly fingerprint: string | undefined
  /** Undefined: the agent asks, or knows it. */
  readonly passphrase: Buffer | undefined
  readonly signal?: AbortSignal
}

interface SecretSubkey {
  readonly primary: string
  readonly fingerprint: string
}

/** Throws ERR_PROGRAM without a working gpg, ERR_NO_IDENTITY when the key that was named is not there. */
export async function readGpgIdentity(request: GpgRequest): Promise<Identity> {
  const { fingerprint } = request
  const { output } = await runGpg(request, ['--with-colons', '--list-secret-keys'], Buffer.alloc(0))
  const held = parseSecretKeys(output)
  const chosen =
    fingerprint === undefined
      ? held
      : held.filter((one) => one.primary === fingerprint || one.fingerprint === fingerprint)
  if (chosen.length === 0 && fingerprint !== undefined) {
    throw new CoffreError('ERR_NO_IDENTITY', `gpg has no secret key ${fingerprint} that decrypts`, {
      hint: 'gpg --list-secret-keys shows those it has; with a smart card, gpg --card-status first',
    })
  }
  const subkeys = chosen.map((one) => one.fingerprint)
  const primaries = [...new Set(chosen.map(({ primary }) => primary))]
  const keyIds = subkeys.map((one) => one.slice(-16))
  return {
    fingerprint:
      primaries.length === 0 ? 'gpg, which has no secret key that decrypts,' : primaries.join(', '),
    subkeys,
    keyIds,
    unwrapElsewhere: (packets) => unwrapByGpg(request, packets),
  }
}

/**
 * gpg says the session key when it comes to a body, and never sees the real one. CFB's prefix (18 bytes) and the MDC (22),
 * RFC 9580, section 5.13.1, and nothing between: of one byte more gpg would take the decrypted noise for a packet.
 */
const emptyBodyBytes = 18 + 22

/** The wrapped session keys of one envelope, each meant for this identity, in; the AES-256 session key out. */
async function unwrapByGpg(request: GpgRequest, packets: Buffer): Promise<Buffer> {
  const body = Buffer.concat([Buffer.from([1]), randomBytes(emptyBodyBytes)])
  const probe = Buffer.concat([
    packets,
    Buffer.from([writeTag(tags.integrityProtectedData)]),
    writeLength(body.length),
    body,
  ])
  const { output, complaints } = await runGpg(
    request,
    ['--show-session-key', '--decrypt', '--', '-&4'],
    probe,
  )
  const lines = output.split('\n').filter((line) => line.startsWith('[GNUPG:] SESSION_KEY '))
  const [line] = lines
  if (line === undefined) {
    const why = complaints.length === 0 ? '' : `: ${complaints.join('; ')}`
    throw new CoffreError('ERR_NO_IDENTITY', `gpg does not open the session key${why}`, {
      hint: 'is the card in its reader? on a terminal, export GPG_TTY=$(tty) lets the agent ask for the passphrase',
    })
  }
  const key = /^\[GNUPG:\] SESSION_KEY 9:([0-9A-F]{64})$/.exec(line)?.[1]
  if (key === undefined || lines.length !== 1) {
    throw new CoffreError('ERR_FORMAT', 'the envelope holds something else than one session key for AES-256')
  }
  return Buffer.from(key, 'hex')
}

interface Said {
  /** What came over the status descriptor, and on stdout where that is a listing. */
  readonly output: string
  /** gpg's reasons, without a line that could name a session key. */
  readonly complaints: readonly string[]
}

/**
 * The user's gpg.conf is not read: a `log-file` there would get the session key. stdin stays the user's terminal, by which
 * the agent learns where to ask; the message goes in by descriptor 4.
 */
async function runGpg(
  { environment, passphrase, signal }: GpgRequest,
  words: readonly string[],
  message: Buffer,
): Promise<Said> {
  signal?.throwIfAborted()
  const loopback = passphrase === undefined ? [] : ['--pinentry-mode', 'loopback', '--passphrase-fd', '5']
  const fixed = ['--no-options', '--batch', '--no-auto-key-locate', '--enable-special-filenames']
  const listing = words.includes('--list-secret-keys')
  const gpg = spawn('gpg', [...fixed, '--logger-fd', '2', '--status-fd', '3', ...loopback, ...words], {
    env: environment,
    stdio: ['inherit', listing ? 'pipe' : 'ignore', 'pipe', 'pipe', 'pipe', passphrase ? 'pipe' : 'ignore'],
    ...(signal === undefined ? {} : { signal }),
  })
  const ended = once(gpg, 'close')
  const pipes: readonly Pipe[] = gpg.stdio
  const [, stdout, stderr, status, input, secret] = pipes
  feed(input, message)
  feed(secret, passphrase ?? Buffer.alloc(0))
  try {
    const all = [collect(stdout), collect(status), collect(stderr), ended] as const
    const [listed, said, complained] = await Promise.all(all)
    return { output: listing ? listed : said, complaints: complaintsIn(complained) }
  } catch (cause) {
    if (signal?.aborted === true) throw new CoffreError('ERR_INTERRUPTED', 'gpg was interrupted', { cause })
    throw new CoffreError('ERR_PROGRAM', 'cannot run gpg', {
      cause,
      hint: 'install gnupg (2.2 or newer), or give the secret key itself with --identity FILE',
    })
  }
}

type Pipe = Readable | Writable | null | undefined

function feed(pipe: Pipe, bytes: Buffer): void {
  if (pipe === null || pipe === undefined || !('write' in pipe)) return
  // gpg may end without reading it; what it says then tells why.
  pipe.on('error', () => undefined)
  pipe.end(bytes)
}

const mostOutputBytes = 16 * 1024 * 1024

async function collect(pipe: Pipe): Promise<string> {
  if (pipe === null || pipe === undefined || !('read' in pipe)) return ''
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const bytes of pipe as AsyncIterable<Buffer>) {
    sizeBytes += bytes.length
    if (sizeBytes > mostOutputBytes) throw new CoffreError('ERR_PROGRAM', 'gpg says more than 16 MiB')
    parts.push(bytes)
  }
  return Buffer.concat(parts).toString('utf8')
}

function complaintsIn(text: string): readonly string[] {
  return text
    .split('\n')
    .filter(
      (line) => /^gpg: .*(failed|error|cannot|can't|no secret key)/i.test(line) && !/session key/i.test(line),
    )
    .map((line) => line.slice('gpg: '.length))
}

/**
 * Keys that decrypt and whose secret is within the agent's reach, out of gpg's colon listing (GnuPG's doc/DETAILS): field
 * 12 the capabilities, field 15 `#` where only a stub is there.
 */
function parseSecretKeys(listing: string): readonly SecretSubkey[] {
  const found: SecretSubkey[] = []
  let primary = ''
  let kind = ''
  let decrypts = false
  for (const line of listing.split('\n')) {
    const fields = line.split(':')
    const [record = ''] = fields
    if (record === 'sec' || record === 'ssb') {
      kind = record
      decrypts = (fields[11] ?? '').includes('e') && fields[14] !== '#'
    } else if (record === 'fpr' && kind !== '') {
      const fingerprint = fields[9] ?? ''
      if (kind === 'sec') primary = fingerprint
      if (decrypts && /^[0-9A-F]{40}$/.test(fingerprint)) found.push({ primary, fingerprint })
      kind = ''
    }
  }
  return found
}
