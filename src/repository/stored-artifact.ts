/**
 * What is asked of an artifact once it was put, before any manifest may name it: it is there with its size, and its
 * first packets are OpenPGP, sealed to exactly the expected recipients. (An encryption setting that is accepted and
 * then ignored has put plain dumps into buckets before.)
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
  const found = readEnvelope(first)
  const same = found.bytes === envelope.length && first.subarray(0, envelope.length).equals(envelope)
  if (!same || found.keyIds.join() !== keyIds.join()) {
    throw new CoffreError(
      'ERR_NOT_STORED',
      `${key} is not sealed to exactly the expected recipients in the store`,
    )
  }
}
