/** list: the backups there are, newest last, the unbelievable ones among them and marked as such. */
import { totalSealedBytes } from '../model/manifest.ts'
import { readHolds } from '../repository/holds.ts'
import { isBroken, type Repository } from '../repository/repository.ts'

export interface ListedBackup {
  readonly id: string
  readonly source: string
  /** Null where the manifest cannot be believed. */
  readonly snapshotTime: string | null
  readonly plainBytes: number | null
  readonly sealedBytes: number | null
  /** Why retention keeps it; empty as long as there is no retention. */
  readonly keep: readonly string[]
  readonly drilled: null
  readonly held: boolean
  readonly recipients: readonly string[]
  readonly problem: { readonly code: string; readonly message: string } | null
}

export interface ListResult {
  readonly backups: readonly ListedBackup[]
}

export async function list(repository: Repository, source: string | undefined): Promise<ListResult> {
  const found = await repository.readAll(source)
  const { held } = await readHolds(repository)
  return {
    backups: found.map((backup) => {
      const common = {
        id: backup.ref.id,
        source: backup.ref.source,
        keep: [],
        drilled: null,
        held: held.has(backup.ref.id),
      }
      if (isBroken(backup)) {
        const problem = { code: backup.error.code, message: backup.error.message }
        return { ...common, snapshotTime: null, plainBytes: null, sealedBytes: null, recipients: [], problem }
      }
      const { snapshotTime, plainBytes, recipients } = backup.manifest
      return {
        ...common,
        snapshotTime,
        plainBytes,
        sealedBytes: totalSealedBytes(backup.manifest),
        recipients: recipients.map(({ fingerprint }) => fingerprint),
        problem: null,
      }
    }),
  }
}
