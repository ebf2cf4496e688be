/**
 * The configuration as the rest of coffre sees it: checked, complete, every path absolute, every secret wrapped.
 */
import type { Encryption, Provider } from '../model/provider.ts'
import type { RetentionPolicy } from '../model/retention/plan-retention.ts'
import type { Secret, SecretPair } from '../model/secret.ts'

export interface Config {
  readonly file: string
  /** At least one, in the file's order. */
  readonly sources: ReadonlyMap<string, SourceConfig>
  /** At least one, in the file's order. */
  readonly repositories: ReadonlyMap<string, RepositoryConfig>
  /** 40 upper-case hexadecimal digits, like every fingerprint here. */
  readonly trust: { readonly root: string }
  /** At least one. */
  readonly recipients: readonly RecipientPin[]
  readonly signing: { readonly keyFile: string; readonly role: 'host' } | undefined
  /** Who signs holds and the pruner's ledger. */
  readonly operator: { readonly keyFile: string } | undefined
  readonly keys: { readonly onExpired: 'continue' | 'refuse' }
  /** 0 to 19, as of nice(1): how far coffre and the client programs that it starts stand back. */
  readonly nice: number
  /** zstd: 1 to 19; gzip: 1 to 9. */
  readonly compression: { readonly algorithm: 'zstd' | 'gzip'; readonly level: 'auto' | number }
}

export interface RecipientPin {
  readonly file: string
  readonly fingerprint: string
}

export interface SourceConfig {
  readonly name: string
  readonly access:
    | { readonly kind: 'url'; readonly url: Secret }
    /** `run` is empty where the client programs of this machine do the work. */
    | {
        readonly kind: 'prefix'
        readonly run: readonly string[]
        readonly database: string
        readonly user: string | undefined
      }
  readonly jobs: 'auto' | number
  /** Roles and tablespaces in a backup: those the database leans on, or all of the server. */
  readonly globals: 'used' | 'all'
  /** A backup that reads longer fails: as long as its snapshot is open, vacuum removes nothing younger. */
  readonly maxSnapshotAgeMs: number
}

/** `retention`: its own, or else the configuration's; undefined: nothing is ever pruned. */
export type RepositoryConfig = {
  readonly name: string
  readonly retention: RetentionPolicy | undefined
  /** Repositories that a backup is copied to in the same run. */
  readonly copyTo: readonly string[]
} & (
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 's3'; readonly s3: S3Config }
)

export interface S3Config {
  readonly provider: Provider
  /** Undefined: the provider's own, made from the region. */
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly bucket: string
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string
  readonly encryption: Encryption
  readonly kmsKey: string | undefined
  /** All uploads together; undefined: as fast as the line is. */
  readonly uploadBytesPerSecond: number | undefined
  /** A role that is not given falls back to the usual AWS environment and profiles when no role is given at all. */
  readonly credentials: {
    readonly writer: SecretPair | undefined
    readonly reader: SecretPair | undefined
    readonly pruner: SecretPair | undefined
  }
}
