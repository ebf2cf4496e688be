/** show: everything the manifest says of one backup; with an identity, what was in the database as well. */
import type { Inventory } from '../model/inventory.ts'
import type { Manifest } from '../model/manifest.ts'
import type { Identity } from '../openpgp/keys.ts'
import type { Repository } from '../repository/repository.ts'
import type { Context } from './context.ts'
import { findBackup, type BackupSelector } from './find-backup.ts'
import { OpenedBackup } from './opened-backup.ts'

export interface ShowResult {
  readonly manifest: Manifest
  readonly manifestSha256: string
  /** Null without an identity. Password verifiers of roles are left out. */
  readonly inventory: Inventory | null
}

export async function show(
  context: Context,
  request: { repository: Repository; selector: BackupSelector; identity: Identity | undefined },
): Promise<ShowResult> {
  const backup = await findBackup(request.repository, request.selector)
  const { manifest, manifestSha256 } = backup
  if (request.identity === undefined) return { manifest, manifestSha256, inventory: null }
  const inventory = await new OpenedBackup(
    request.repository,
    backup,
    request.identity,
    context.signal,
  ).inventory()
  const roles = inventory.roles.map((role) => ({ ...role, passwordVerifier: null }))
  return { manifest, manifestSha256, inventory: { ...inventory, roles } }
}
