/**
 * keys split: a secret key gets a new random passphrase that nobody sees, and the passphrase becomes shares for several
 * holders. Before any of it is given away the shares are put together again and open the key: first ones and last ones.
 */
import { CoffreError } from '../errors.ts'
import { protectAgain, readIdentity } from '../openpgp/keys.ts'
import { linesOf, readShares, scannedText, type Share } from '../shares/share-text.ts'
import { combineShares, newSecret, passphraseOf, splitSecret } from '../shares/sharing.ts'

export interface SplitKeyRequest {
  /** Armored or binary. */
  readonly secretKey: Uint8Array
  /** Its passphrase up to now. */
  readonly passphrase: Buffer | undefined
  readonly threshold: number
  readonly count: number
}

export interface SplitKey {
  readonly fingerprint: string
  /** Armored, under the new passphrase. */
  readonly secretKey: string
  readonly set: string
  /** One for each holder: never two in one place. */
  readonly shares: readonly { readonly index: number; readonly text: string }[]
}

export async function splitKey(request: SplitKeyRequest): Promise<SplitKey> {
  const { secretKey, passphrase, threshold, count } = request
  const { key: _key, ...held } = await holdByShares(threshold, count, (next) =>
    protectAgain(secretKey, passphrase, next),
  )
  return held
}

interface Protected {
  readonly fingerprint: string
  readonly secretKey: string
}

/** Has `make` protect a key by a new random passphrase, and splits that. Both are forgotten at the end. */
export async function holdByShares<T extends Protected>(
  threshold: number,
  count: number,
  make: (passphrase: Buffer) => Promise<T>,
): Promise<SplitKey & { readonly key: T }> {
  const secret = newSecret()
  const passphrase = passphraseOf(secret)
  try {
    const shares = await splitSecret(secret, threshold, count)
    const key = await make(passphrase)
    const { fingerprint, secretKey } = key
    const texts = shares.map((share) => ({ index: share.index, text: textOf(share, fingerprint) }))
    for (const some of [texts.slice(0, threshold), texts.slice(-threshold)])
      await assertOpens(secretKey, some.map(({ text }) => text).join('\n'))
    return { key, fingerprint, secretKey, set: shares[0]?.set ?? '', shares: texts }
  } finally {
    secret.fill(0)
    passphrase.fill(0)
  }
}

/** What was written is read as it will be on the day. */
async function assertOpens(secretKey: string, text: string): Promise<void> {
  const secret = await combineShares(readShares(text))
  const identity = await readIdentity(Buffer.from(secretKey), passphraseOf(secret))
  secret.fill(0)
  if (identity.subkeys.length === 0) throw new CoffreError('ERR_INTERNAL', 'the shares do not open the key')
}

function textOf(share: Share, fingerprint: string): string {
  const { threshold, count, index, set } = share
  return `coffre: share ${index} of ${count}. Any ${threshold} of the ${count} together open key
${fingerprint}
Set ${set}. Keep it on paper, apart from the other shares; alone it opens nothing.

${linesOf(share).join('\n')}

The same, to scan or to paste:
${scannedText(share)}
`
}
