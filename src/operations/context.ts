/** What an operation may touch besides its request. Built once in main.ts; tests build their own. */
import type { Emit } from '../observe/events.ts'
import type { ClientEnvironment } from '../postgres/client-tools.ts'
import type { Holder } from '../repository/holder.ts'

export interface Context {
  readonly now: () => Date
  /** Aborted on Ctrl-C and SIGTERM: operations stop, clean up and throw ERR_INTERRUPTED. */
  readonly signal: AbortSignal
  readonly emit: Emit
  readonly environment: ClientEnvironment
  /** Who holds the leases of this run. */
  readonly holder: Holder
  /** Of coffre, for manifests. */
  readonly version: string
  /** How many lanes `jobs: auto` means here. */
  readonly cores: number
}
