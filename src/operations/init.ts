/**
 * init without a ceremony: a small local trust. A root and a host signing key are made here, the recipients' public keys
 * are given, the repository gets its first keyring, and the configuration is composed. What that lacks is said: the
 * root's secret lies on this machine until somebody moves it away.
 */
import { randomBytes } from 'node:crypto'
import { CoffreError } from '../errors.ts'
import { encodeJson } from '../model/canonical-json.ts'
import { parseKeyring, type Keyring } from '../model/keyring.ts'
import { generateKey, readRecipient, readSigningKey, type GeneratedKey } from '../openpgp/keys.ts'
import { repositoryKey } from '../repository/layout.ts'
import { Repository } from '../repository/repository.ts'
import { writeKeyring } from '../repository/trust.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { Context } from './context.ts'

export interface InitRequest {
  readonly store: ObjectStore
  /** Public keys, armored or binary, one each. */
  readonly recipients: readonly Uint8Array[]
  /** Called once the keys are made, before anything is founded on them: whoever keeps them must have done so. */
  readonly keep: (keys: InitKeys) => Promise<void>
  /** The sources the host may sign for. */
  readonly sources: readonly string[]
}

export interface InitKeys {
  readonly root: GeneratedKey
  readonly host: GeneratedKey
  /** Signs holds and the pruner's ledger. */
  readonly operator: GeneratedKey
  readonly recipients: readonly {
    readonly fingerprint: string
    readonly userId: string
    readonly publicKey: string
  }[]
}

export interface InitResult extends InitKeys {
  /** The new repository's id. */
  readonly repository: string
}

async function assertUnfounded(store: ObjectStore): Promise<void> {
  if ((await store.head(repositoryKey)) !== undefined) {
    throw new CoffreError(
      'ERR_EXISTS',
      `there is a repository in ${store.description} already: it is left as it is`,
      {
        hint: 'choose another folder or prefix, or use the configuration that made this one',
      },
    )
  }
}

/** Proves that the store can be written, read and asked to refuse an overwrite before anything is founded on it. */
async function assertUsable(store: ObjectStore): Promise<void> {
  const key = `leases/init-probe/${randomBytes(8).toString('hex')}.json`
  await store.create(key, encodeJson({ type: 'coffre-probe' }))
  for await (const bytes of store.get(key)) void bytes
  // An append-only credential may not delete; the probe is a few bytes and harmless.
  await store.delete(key).catch(() => undefined)
}

export async function init(context: Context, request: InitRequest): Promise<InitResult> {
  const now = context.now()
  const recipients = await Promise.all(
    request.recipients.map((bytes) => readRecipient(bytes, { now, expired: 'refuse' })),
  )
  await assertUnfounded(request.store)
  await assertUsable(request.store)
  const common = { kind: 'ed25519', use: 'sign', validDays: undefined, passphrase: undefined, now } as const
  const root = await generateKey({ ...common, name: 'coffre root', email: 'root@coffre.invalid' })
  const host = await generateKey({ ...common, name: 'coffre host', email: 'host@coffre.invalid' })
  const operator = await generateKey({
    ...common,
    name: 'coffre operator',
    email: 'operator@coffre.invalid',
  })
  const readers = recipients.map(({ fingerprint, userId, publicKey }) => ({ fingerprint, userId, publicKey }))
  await request.keep({ root, host, operator, recipients: readers })
  const repository = await Repository.create(request.store, now)
  const keyring: Keyring = {
    type: 'coffre-keyring',
    format: 1,
    repository,
    version: 1,
    createdAt: now.toISOString(),
    root: { fingerprint: root.fingerprint, publicKey: root.publicKey },
    recipients: recipients.map(({ fingerprint, subkey, publicKey }) => ({ fingerprint, subkey, publicKey })),
    signers: [
      {
        fingerprint: host.fingerprint,
        role: 'host',
        sources: [...request.sources],
        publicKey: host.publicKey,
      },
      {
        fingerprint: operator.fingerprint,
        role: 'operator',
        sources: [],
        publicKey: operator.publicKey,
      },
    ],
  }
  parseKeyring(encodeJson(keyring))
  await writeKeyring(request.store, keyring, await readSigningKey(Buffer.from(root.secretKey)), now)
  await Repository.open(request.store, root.fingerprint)
  return { repository, root, host, operator, recipients: readers }
}
