/**
 * A second repository is a replica: the same id and the same keyrings, so that the signed manifests hold there as they are.
 * What was copied is what was signed; a store of another repository is refused.
 */
import { CoffreError } from '../errors.ts'
import { readObject, type ObjectStore } from '../storage/object-store.ts'
import { keyringKey, repositoryKey, signatureKey } from './layout.ts'
import { Repository } from './repository.ts'

const smallLimitBytes = 4 * 1024 * 1024

/**
 * Founds the replica where there is none yet, brings it the keyrings it lacks, and opens it. Throws ERR_EXISTS where
 * another repository lies, ERR_SIGNATURE where its keyrings are not the pinned root's.
 */
export async function openReplica(
  from: Repository,
  store: ObjectStore,
  rootFingerprint: string,
): Promise<Repository> {
  await replicate(from.store, store, repositoryKey, from.store.description)
  for (const version of [...from.trust.keyrings.keys()].toSorted((a, b) => a - b)) {
    const key = keyringKey(version)
    await replicate(from.store, store, signatureKey(key), from.store.description)
    await replicate(from.store, store, key, from.store.description)
  }
  return await Repository.open(store, rootFingerprint)
}

/**
 * Brings one small object over, create-only: what is there already must be equal. Throws ERR_EXISTS when it is not.
 */
export async function replicate(
  from: ObjectStore,
  to: ObjectStore,
  key: string,
  name = key,
  limitBytes = smallLimitBytes,
): Promise<void> {
  const bytes = await readObject(from, key, { limitBytes })
  if ((await to.head(key)) === undefined) {
    try {
      await to.create(key, bytes)
      return
    } catch (error) {
      // Another copy at the same moment: then it must be equal too.
      if (!(error instanceof CoffreError) || error.code !== 'ERR_EXISTS') throw error
    }
  }
  if ((await readObject(to, key, { limitBytes })).equals(bytes)) return
  throw new CoffreError('ERR_EXISTS', `${key} in ${to.description} is not that of ${name}`, {
    hint: 'copies go to a folder or prefix of their own, which coffre copy founds by itself',
  })
}
