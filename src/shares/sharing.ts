/**
 * A secret of 256 bits split into shares of which any m open it, and put together again. The arithmetic is an audited
 * library's, which returns a wrong secret silently where shares are wrong, mixed or too few: here each of these is told
 * by name, and nothing is returned that is not the secret that was split.
 */
import { randomBytes } from 'node:crypto'
import { combine, split } from 'shamir-secret-sharing'
import { CoffreError } from '../errors.ts'
import { checkOf, type Share } from './share-text.ts'

const secretBytes = 32
const mostShares = 16

/** A new random secret: never a passphrase that somebody chose. */
export function newSecret(): Buffer {
  return randomBytes(secretBytes)
}

/** As gpg and people take it: 64 hexadecimal digits. */
export function passphraseOf(secret: Buffer): Buffer {
  return Buffer.from(secret.toString('hex'))
}

/** Throws ERR_USAGE unless 2 <= threshold <= count <= 16. */
export async function splitSecret(
  secret: Buffer,
  threshold: number,
  count: number,
): Promise<readonly Share[]> {
  const whole = Number.isInteger(threshold) && Number.isInteger(count)
  if (!whole || threshold < 2 || count < threshold || count > mostShares) {
    throw new CoffreError('ERR_USAGE', `a secret cannot be split so that ${threshold} of ${count} open it`, {
      hint: `at least 2 must be needed, and at most ${mostShares} can be made: 2 of 3, for instance`,
    })
  }
  if (secret.length !== secretBytes) throw new CoffreError('ERR_INTERNAL', 'the secret must have 256 bits')
  // The library takes no Buffer.
  const plain = new Uint8Array(secret)
  const points = await split(plain, count, threshold)
  plain.fill(0)
  const common = {
    threshold,
    count,
    set: randomBytes(4).toString('hex').toUpperCase(),
    check: checkOf(secret),
  }
  return points.map((point, at) => ({ ...common, index: at + 1, point: Buffer.from(point) }))
}

/** Throws ERR_SHARE where shares are missing, doubled, of several sets, or wrong; it says which where that can be known. */
export async function combineShares(shares: readonly Share[]): Promise<Buffer> {
  const [first] = shares
  if (first === undefined) throw new CoffreError('ERR_SHARE', 'no share was given')
  assertOneSet(first, shares)
  const { threshold, check } = first
  for (const chosen of choices(shares, threshold)) {
    const secret = await put(chosen)
    if (!checkOf(secret).equals(check)) continue
    await assertAllFit(chosen, shares, check)
    return secret
  }
  throw new CoffreError(
    'ERR_SHARE',
    `${namesOf(shares)} of set ${first.set} do not give the secret: at least one is false, though nothing in it is mistyped`,
    { hint: 'try it with other holders: with one share more than are needed, the false one is named' },
  )
}

function assertOneSet(first: Share, shares: readonly Share[]): void {
  const { threshold, count, set, check } = first
  const stranger = shares.find((share) => share.set !== set)
  if (stranger !== undefined) {
    throw new CoffreError(
      'ERR_SHARE',
      `share ${stranger.index} is of set ${stranger.set}, share ${first.index} of set ${set}: they do not go together`,
      { hint: 'the set stands on every share: take shares of one set, that of the key you want to open' },
    )
  }
  const other = shares.find(
    (share) => share.threshold !== threshold || share.count !== count || !share.check.equals(check),
  )
  if (other !== undefined) {
    throw new CoffreError(
      'ERR_SHARE',
      `share ${first.index} and share ${other.index} of set ${set} contradict each other`,
      {
        hint: 'one of them is false: try each with a third holder',
      },
    )
  }
  const indexes = shares.map(({ index }) => index)
  const doubled = indexes.find((index, at) => indexes.indexOf(index) !== at)
  if (doubled !== undefined) {
    throw new CoffreError('ERR_SHARE', `share ${doubled} of set ${set} was given twice`, {
      hint: 'each share counts once: give those of other holders',
    })
  }
  if (shares.length >= threshold) return
  const absent = Array.from({ length: count }, (_, at) => at + 1).filter((index) => !indexes.includes(index))
  throw new CoffreError(
    'ERR_SHARE',
    `${threshold} of the ${count} shares of set ${set} are needed, given: ${namesOf(shares)}`,
    { hint: `add any ${threshold - shares.length} of the shares ${absent.join(', ')}` },
  )
}

/** Once the secret is known, every other share can be held against it. */
async function assertAllFit(good: readonly Share[], shares: readonly Share[], check: Buffer): Promise<void> {
  for (const share of shares) {
    if (good.includes(share)) continue
    const secret = await put([...good.slice(1), share])
    if (checkOf(secret).equals(check)) continue
    throw new CoffreError(
      'ERR_SHARE',
      `share ${share.index} of set ${share.set} is false; the others are right`,
      {
        hint: `leave out share ${share.index}, and find out how it came to be false`,
      },
    )
  }
}

/** Two shares at one point are no line: the library refuses them, and so they give nothing. */
async function put(shares: readonly Share[]): Promise<Buffer> {
  const none = Buffer.alloc(secretBytes)
  return await combine(shares.map(({ point }) => new Uint8Array(point))).then(
    (secret) => Buffer.from(secret),
    () => none,
  )
}

function* choices(shares: readonly Share[], size: number): Generator<readonly Share[]> {
  if (size === 0) yield []
  for (const [at, share] of size === 0 ? [] : shares.entries())
    for (const rest of choices(shares.slice(at + 1), size - 1)) yield [share, ...rest]
}

function namesOf(shares: readonly Share[]): string {
  const indexes = shares.map(({ index }) => index).join(', ')
  return shares.length === 1 ? `share ${indexes}` : `shares ${indexes}`
}
