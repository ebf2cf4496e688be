/** Waiting for something that happens soon, with an end. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** Asks every 20 ms until the answer is not undefined or false. Fails the test after `limitMs`. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  for (const end = performance.now() + limitMs; ; await sleep(20)) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    assert.ok(performance.now() < end, `${what}: not within ${limitMs / 1000} s`)
  }
}
