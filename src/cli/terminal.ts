/**
 * The smallest slice of a process that commands talk to. Results go to `result`, everything for people to `say`:
 * stdout is never mixed.
 */
export interface Terminal {
  readonly result: (text: string) => void
  readonly say: (text: string) => void
  /** Replaces the line last written with `sayOver`; only on a terminal. */
  readonly sayOver: ((line: string) => void) | undefined
  /** Asks one question; undefined where nobody is there to answer. `hidden`: the answer is not shown. */
  readonly ask: ((question: string, options?: { readonly hidden: boolean }) => Promise<string>) | undefined
  readonly columns: number
}
