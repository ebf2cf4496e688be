/**
 * Ratios out of interleaved rounds. In each round every contestant runs once, so that what disturbs the machine disturbs
 * all alike; a ratio is taken within its round, and the median of the rounds is what counts.
 */

export interface Round {
  /** Contestant to wall seconds. */
  readonly wallSeconds: ReadonlyMap<string, number>
}

export interface Ratio {
  readonly median: number
  readonly lowest: number
  readonly highest: number
}

/** Wall time of `name` in relation to `reference`, round by round. Undefined where it never ran beside it. */
export function ratioOf(rounds: readonly Round[], name: string, reference: string): Ratio | undefined {
  const ratios = rounds.flatMap(({ wallSeconds }) => {
    const [one, other] = [wallSeconds.get(name), wallSeconds.get(reference)]
    return one === undefined || other === undefined ? [] : [one / other]
  })
  if (ratios.length === 0) return undefined
  return { median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
