/**
 * What the file system says, as a CoffreError: full, denied, or something else that names the file.
 * It decides codes and hints only; what to clean up is up to whoever called.
 */
import { CoffreError } from '../errors.ts'

const full = new Set(['ENOSPC', 'EDQUOT'])
const denied = new Set(['EACCES', 'EPERM', 'EROFS'])

/** The code of a system error, such as `ENOENT`; undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Whether a path names nothing: it, or a folder on its way, is not there. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/**
 * `action` reads after "cannot": "write backups/x in /mnt/nas". Errors thrown on purpose pass unchanged.
 * ERR_STORE_FULL for a full disk or quota, ERR_STORE_DENIED for missing rights, else ERR_STORE.
 */
export function fileError(action: string, error: unknown): CoffreError {
  if (error instanceof CoffreError) return error
  const code = systemCode(error) ?? 'unknown error'
  const message = `cannot ${action}: ${code}`
  if (full.has(code)) return new CoffreError('ERR_STORE_FULL', message, { cause: error })
  if (denied.has(code)) {
    const hint = 'check the owner and the rights of the folder, and that its file system is mounted writable'
    return new CoffreError('ERR_STORE_DENIED', message, { hint, cause: error })
  }
  return new CoffreError('ERR_STORE', message, { cause: error })
}
