/**
 * BackupId: the snapshot's time in UTC and a random tail, `20261123T020000Z-7f3a9c2e`. Sorts by time as plain
 * text, is unique in a repository and says what it is.
 */
import { CoffreError } from '../errors.ts'

declare const brand: unique symbol
export type BackupId = string & { readonly [brand]: 'BackupId' }

export const backupIdPattern = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{8}$/

/** `tail`: at least 4 random bytes. */
export function newBackupId(snapshotTime: Date, tail: Buffer): BackupId {
  const stamp = snapshotTime.toISOString().replace(/[-:]|\.\d+/g, '')
  return parseBackupId(`${stamp}-${tail.subarray(0, 4).toString('hex')}`)
}

/** Throws ERR_NO_BACKUP: an id usually comes from somebody's keyboard. */
export function parseBackupId(text: string): BackupId {
  if (!backupIdPattern.test(text)) {
    throw new CoffreError('ERR_NO_BACKUP', `not a backup id: ${JSON.stringify(text.slice(0, 80))}`, {
      hint: 'an id looks like 20261123T020000Z-7f3a9c2e; coffre list shows them',
    })
  }
  return text as BackupId
}

/** The moment an id names, in whole seconds. */
export function backupTime(id: BackupId): Date {
  return new Date(id.replace(backupIdPattern, '$1-$2-$3T$4:$5:$6Z'))
}
