/** Where everything lies in a repository of format 1: ids to keys and back. Pure. */
import { backupIdPattern, parseBackupId, type BackupId } from '../model/backup-id.ts'
import { sourceNamePattern } from '../model/manifest.ts'

export const repositoryKey = 'coffre.json'
export const keyringsFolder = 'keyrings/'
export const backupsFolder = 'backups/'

export interface BackupRef {
  readonly source: string
  readonly id: BackupId
}

const padded = (version: number): string => String(version).padStart(4, '0')

export const keyringKey = (version: number): string => `${keyringsFolder}${padded(version)}.json`

export function keyringVersion(key: string): number | undefined {
  const match = /^keyrings\/(\d{4,})\.json$/.exec(key)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** A detached signature lies beside what it signs. */
export const signatureKey = (key: string): string => `${key}.asc`

export const backupFolder = ({ source, id }: BackupRef): string => `${backupsFolder}${source}/${id}/`
export const manifestKey = (ref: BackupRef): string => `${backupFolder(ref)}manifest.json`
export const restoreGuideKey = (ref: BackupRef): string => `${backupFolder(ref)}RESTORE.md`
export const artifactKey = (ref: BackupRef, name: string): string => `${backupFolder(ref)}${name}`
export const sourceFolder = (source: string): string => `${backupsFolder}${source}/`

/** The backup a key is the manifest of; undefined for any other key. */
export function manifestOf(key: string): BackupRef | undefined {
  const [folder, source = '', id = '', file, ...rest] = key.split('/')
  const fits = folder === 'backups' && sourceNamePattern.test(source) && backupIdPattern.test(id)
  return fits && file === 'manifest.json' && rest.length === 0 ? { source, id: parseBackupId(id) } : undefined
}

export const leasesFolder = (source: string): string => `leases/${source}/`
export const leaseKey = (source: string, number: number): string =>
  `${leasesFolder(source)}${String(number).padStart(8, '0')}.json`

/** Whatever lies in some backup's folder; undefined for any other key. */
export function backupOf(key: string): BackupRef | undefined {
  const [folder, source = '', id = '', ...rest] = key.split('/')
  const fits = folder === 'backups' && sourceNamePattern.test(source) && backupIdPattern.test(id)
  return fits && rest.length > 0 ? { source, id: parseBackupId(id) } : undefined
}

export const ledgerFolder = 'ledger/'
export const ledgerKey = (number: number): string => `${ledgerFolder}${String(number).padStart(8, '0')}.json`

/** Of an entry or its signature. */
export function ledgerNumber(key: string): number | undefined {
  const match = /^ledger\/(\d{8,15})\.json(?:\.asc)?$/.exec(key)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

export const holdsFolder = 'holds/'
export const holdKey = ({ source, id }: BackupRef, number: number): string =>
  `${holdsFolder}${source}/${id}/${padded(number)}.json`

/** The place of an event or its signature. */
export function holdOf(key: string): (BackupRef & { readonly number: number }) | undefined {
  const [folder, source = '', id = '', file = '', ...rest] = key.split('/')
  const number = /^(\d{4,15})\.json(?:\.asc)?$/.exec(file)?.[1]
  const fits = folder === 'holds' && sourceNamePattern.test(source) && backupIdPattern.test(id)
  return fits && number !== undefined && rest.length === 0
    ? { source, id: parseBackupId(id), number: Number(number) }
    : undefined
}

export const envelopesFolder = 'envelopes/'

/** The backup that an envelope belongs to. */
export function envelopeOf(key: string): BackupRef | undefined {
  const [folder, , source = '', id = '', ...rest] = key.split('/')
  const fits = folder === 'envelopes' && sourceNamePattern.test(source) && backupIdPattern.test(id)
  return fits && rest.length > 0 ? { source, id: parseBackupId(id) } : undefined
}
