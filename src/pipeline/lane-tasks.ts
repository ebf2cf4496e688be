/**
 * What a lane can be asked to do, and what passes between it and the main thread. Plain data only: all of it crosses
 * a thread border. Bytes cross by transfer, never by copy, a few pieces at a time in each direction (back-pressure
 * all the way from the store to PostgreSQL, and back).
 */
import type { ErrorCode } from '../errors.ts'
import type { Artifact } from '../model/manifest.ts'
import type { RowDigest } from '../model/row-digest.ts'
import type { ClientEnvironment, ClientProgram } from '../postgres/client-tools.ts'
import type { PageRange } from '../postgres/plan.ts'
import type { TableRows } from '../postgres/row-statements.ts'
import type { SnapshotHandle } from '../postgres/source-snapshot.ts'
import type { WireAddress } from '../postgres/wire/wire-address.ts'
import type { Compression } from './compression.ts'
import type { Sealed, SealKey } from './seal.ts'

/** A ServerAccess whose secret can cross to the lane's thread; it goes no further. */
export interface LaneAccess {
  readonly prefix: readonly string[]
  readonly parameters: Readonly<Record<string, string>>
  readonly password: string | undefined
}

export interface LaneConnection {
  readonly access: LaneAccess
  /** Where coffre's own connection can go; undefined: by psql only. */
  readonly wire: WireAddress | undefined
  readonly environment: ClientEnvironment
  readonly applicationName: string
  readonly lockTimeoutMs: number
}

export interface SealedBlock extends RowDigest {
  readonly bytes: number
}

/** COPY blocks out of the snapshot → one sealed artifact. */
export interface SealRowsTask {
  readonly kind: 'seal-rows'
  readonly connection: LaneConnection
  readonly snapshot: SnapshotHandle
  readonly seal: SealKey & { readonly compression: Compression }
  readonly blocks: readonly {
    readonly rows: TableRows
    /** The table the name must still mean when its rows are read. */
    readonly oid: string
    readonly pages: PageRange | undefined
  }[]
  readonly preamble: string
  /** Text after the last block: the sequences' values. */
  readonly trailer: string
}

/** A client program's whole output → one sealed artifact. */
export interface SealProgramTask {
  readonly kind: 'seal-program'
  readonly connection: LaneConnection
  readonly program: ClientProgram
  readonly arguments: readonly string[]
  /** How its output is known to be whole: a prefix can cut it short and still end with status 0. */
  readonly whole: 'archive' | 'globals'
  readonly seal: SealKey & { readonly compression: Compression }
}

/** COPY statements → their RowDigests and nothing else; in a snapshot where one is given. */
export interface DigestTask {
  readonly kind: 'digest'
  readonly connection: LaneConnection
  readonly snapshot: SnapshotHandle | undefined
  readonly statements: readonly string[]
}

/** One stored `rows` artifact → COPY FROM into a destination, in one transaction. */
export interface LoadRowsTask {
  readonly kind: 'load-rows'
  readonly connection: LaneConnection
  readonly artifact: Artifact
  readonly sessionKey: Buffer
  readonly algorithm: Compression['algorithm']
  readonly plainLimitBytes: number
  /** `rows`: what was read; `into`: the table it goes to; undefined: read and checked like the others, and not loaded. */
  readonly blocks: readonly {
    readonly rows: TableRows
    readonly bytes: number
    readonly into: TableRows | undefined
  }[]
}

export interface LaneResults {
  'seal-rows': Sealed & { readonly blocks: readonly SealedBlock[] }
  'seal-program': Sealed & { readonly warnings: readonly string[] }
  digest: readonly RowDigest[]
  'load-rows': null
}

export type LaneTask = SealRowsTask | SealProgramTask | DigestTask | LoadRowsTask
export type LaneResult = LaneResults[LaneTask['kind']]

/** All that is said of a task names it by its number: what a task that was left still says disturbs no other one. */
export type ToLane =
  | { readonly type: 'start'; readonly number: number; readonly task: LaneTask }
  | { readonly type: 'piece'; readonly number: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'end'; readonly number: number }
  | { readonly type: 'taken'; readonly number: number }
  | { readonly type: 'cancel'; readonly number: number }
  | { readonly type: 'shutdown' }

export type FromLane = { readonly number: number } & (
  | { readonly type: 'piece'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'taken' }
  | { readonly type: 'progress'; readonly plainBytes: number }
  | { readonly type: 'done'; readonly result: LaneResult }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string; readonly hint: string }
)

/** How many pieces may be under way in one direction before the sender waits. */
export const piecesInFlight = 8
