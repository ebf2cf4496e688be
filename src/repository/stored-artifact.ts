/**
 * What is asked of an artifact once it was put, before any manifest may name it: it is there with its size, and its
 * first packets are OpenPGP, sealed to exactly the expected recipients. (An encryption setting that is accepted and
 * then ignored has put plain dumps into buckets before.) And the first question to what a manifest names: is it there?
 */
import { CoffreError } from '../errors.ts'
import { envelopeHeadLimitBytes, readEnvelope } from '../openpgp/envelope.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'

export interface ExpectedArtifact {
  readonly key: string
  readonly bytes: number
  readonly envelope: Buffer
  /** Of the recipients' encryption subkeys, in the envelope's order. */
  readonly keyIds: readonly string[]
}

/** Throws ERR_NOT_STORED. */
export async function assertStored(
  store: ObjectStore,
  { key, bytes, envelope, keyIds }: ExpectedArtifact,
): Promise<void> {
  const head = await store.head(key)
  if (head?.sizeBytes !== bytes) {
    throw new CoffreError(
      'ERR_NOT_STORED',
      `${key} should have ${bytes} bytes in the store and has ${head?.sizeBytes ?? 'none'}`,
    )
  }
  const range = { start: 0, length: Math.min(bytes, envelopeHeadLimitBytes) }
  const first = await readObject(store, key, { range, limitBytes: envelopeHeadLimitBytes })
  let cause: unknown
  if (first.subarray(0, envelope.length).equals(envelope)) {
    try {
      const found = readEnvelope(first)
      if (found.bytes === envelope.length && found.keyIds.join() === keyIds.join()) return
    } catch (error) {
      cause = error
    }
  }
  throw new CoffreError(
    'ERR_NOT_STORED',
    `${key} is not sealed to exactly the expected recipients in the store`,
    { cause },
  )
}

/** Throws ERR_DIGEST when an object that a signed manifest names is missing, or has another size. */
export async function assertPresent(
  store: ObjectStore,
  key: string,
  signed: { readonly name: string; readonly bytes: number },
  signal: AbortSignal,
): Promise<void> {
  const head = await store.head(key, { signal })
  if (head === undefined) throw new CoffreError('ERR_DIGEST', `${signed.name} is missing`)
  if (head.sizeBytes !== signed.bytes) {
    throw new CoffreError(
      'ERR_DIGEST',
      `${signed.name} has ${head.sizeBytes} bytes, ${signed.bytes} were signed`,
    )
  }
}
