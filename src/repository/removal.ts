/**
 * Taking backups away, and what was left lying. The manifest goes first: from then on there is no backup, whatever
 * happens, and what is left is debris that the next run finishes. To be called under the source's lease: no backup is
 * being made then, so a folder without a manifest is nobody's.
 */
import type { BackupId } from '../model/backup-id.ts'
import type { ObjectStore, StoredObject, StoreOptions } from '../storage/object-store.ts'
import {
  backupFolder,
  backupOf,
  envelopeOf,
  envelopesFolder,
  manifestKey,
  sourceFolder,
  type BackupRef,
} from './layout.ts'

export interface Removed {
  readonly objects: number
  readonly bytes: number
}

/** Removing what is gone already is no error. Envelopes are left to `sweepEnvelopes`. */
export async function removeBackup(
  store: ObjectStore,
  ref: BackupRef,
  options: StoreOptions,
): Promise<Removed> {
  const objects = await listed(store, backupFolder(ref), options)
  const isManifest = ({ key }: StoredObject): boolean => key === manifestKey(ref)
  const ordered = [...objects.filter(isManifest), ...objects.filter((object) => !isManifest(object))]
  return await removeObjects(store, ordered, options)
}

/** What lies in backups' folders without a manifest, by backup. */
export async function findDebris(
  store: ObjectStore,
  source: string,
  options: StoreOptions,
): Promise<ReadonlyMap<BackupId, readonly StoredObject[]>> {
  const folders = new Map<BackupId, StoredObject[]>()
  const whole = new Set<BackupId>()
  for await (const object of store.list(sourceFolder(source), options)) {
    const ref = backupOf(object.key)
    if (ref === undefined) continue
    if (object.key === manifestKey(ref)) whole.add(ref.id)
    folders.set(ref.id, [...(folders.get(ref.id) ?? []), object])
  }
  return new Map([...folders].filter(([id]) => !whole.has(id)))
}

/** Envelopes of backups that were removed. */
export async function sweepEnvelopes(
  store: ObjectStore,
  isRemoved: (ref: BackupRef) => boolean,
  options: StoreOptions,
): Promise<Removed> {
  const objects: StoredObject[] = []
  for await (const object of store.list(envelopesFolder, options)) {
    const ref = envelopeOf(object.key)
    if (ref !== undefined && isRemoved(ref)) objects.push(object)
  }
  return await removeObjects(store, objects, options)
}

export async function removeObjects(
  store: ObjectStore,
  objects: readonly StoredObject[],
  options: StoreOptions,
): Promise<Removed> {
  let bytes = 0
  for (const { key, sizeBytes } of objects) {
    await store.delete(key, options)
    bytes += sizeBytes
  }
  return { objects: objects.length, bytes }
}

async function listed(
  store: ObjectStore,
  folder: string,
  options: StoreOptions,
): Promise<readonly StoredObject[]> {
  const objects: StoredObject[] = []
  for await (const object of store.list(folder, options)) objects.push(object)
  return objects
}
