/**
 * What happened, as data: the single source for progress, logs, and later metrics and notices. Operations emit,
 * whoever runs them decides what people see.
 */

export type Stage =
  | 'connecting'
  | 'snapshot'
  | 'definitions'
  | 'rows'
  | 'inventory'
  | 'committing'
  | 'opening'
  | 'decrypting'
  | 'loading'
  | 'indexes'
  | 'comparing'
  | 'renaming'
  | 'checking'

export type Event =
  | { readonly type: 'stage'; readonly stage: Stage; readonly detail?: string }
  /** Bytes of the stage's own measure; `totalBytes` is an estimate until the stage ends. */
  | {
      readonly type: 'progress'
      readonly stage: Stage
      readonly doneBytes: number
      readonly totalBytes: number
    }
  | { readonly type: 'warning'; readonly message: string; readonly hint: string }
  | { readonly type: 'note'; readonly message: string }

export type Emit = (event: Event) => void
