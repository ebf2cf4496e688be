/**
 * Simulated years of backups, with gaps, failed nights, several a day, wrong clocks, summer time and drills: pruning every
 * day leaves what pruning once leaves, and nothing that must stay ever goes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { planRetention, type RetentionPolicy } from '../../src/model/retention/plan-retention.ts'
import { holds } from '../support/property.ts'
import {
  backupsAt,
  dayMs,
  kept,
  removed,
  rulesAlone,
  usual,
  withDoubts,
  type SeenBackup,
} from '../support/retained-backups.ts'

const zones = ['UTC', 'Europe/Brussels', 'America/St_Johns', 'Pacific/Apia', 'Australia/Lord_Howe']

const policies: fc.Arbitrary<RetentionPolicy> = fc
  .record({
    daily: fc.nat(10),
    weekly: fc.nat(6),
    monthly: fc.nat(14),
    yearly: fc.oneof(fc.nat(3), fc.constant('all' as const)),
    timeZone: fc.constantFrom(...zones),
    minKeep: fc.integer({ min: 1, max: 5 }),
  })
  .map((parts) => ({ ...rulesAlone, ...parts }))

interface Night {
  /** How many backups were made that day. */
  readonly made: number
  /** Minutes past midnight, UTC. */
  readonly at: number
  /** By how many days the source's and the host's clock were wrong. */
  readonly wrongDays: number
  readonly proven: boolean
}

const plainNight: Night = { made: 1, at: 120, wrongDays: 0, proven: false }

/** Made from one number, so that a failure prints one number. */
function nightsFrom(seed: number, days: number): readonly Night[] {
  let state = seed >>> 0
  const below = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  return Array.from({ length: days }, () => ({
    made: [1, 1, 1, 1, 1, 1, 1, 0, 0, 3][below(10)] ?? 1,
    at: below(1200),
    wrongDays: below(60) === 0 ? below(1800) - 900 : 0,
    proven: below(20) === 0,
  }))
}

const seeds = fc.nat(2 ** 31)

/** Day by day, what was made on it, with the moment of that evening's prune. */
function simulate(
  nights: readonly Night[],
): readonly { readonly evening: Date; readonly made: readonly SeenBackup[] }[] {
  const start = Date.UTC(2021, 0, 1)
  let sequence = 0
  let lastSeen: Date | null = null
  return nights.map(({ made, at, wrongDays, proven }, day) => {
    const evening = new Date(start + day * dayMs + 22 * 3_600_000)
    const times = Array.from(
      { length: made },
      (_, turn) => new Date(start + (day + wrongDays) * dayMs + (at + turn * 30) * 60_000),
    )
    const firstSeen = { at: evening, before: lastSeen }
    if (made > 0) lastSeen = evening
    return {
      evening,
      made: backupsAt(times).map((backup) => {
        sequence += 1
        return { ...backup, id: `${backup.id}-${sequence}`, sequence, firstSeen, proven }
      }),
    }
  })
}

test('pruning every day leaves what pruning once leaves', async (t) => {
  await holds(
    t,
    fc.property(seeds, policies, (seed, policy) => {
      const days = simulate(nightsFrom(seed, 500))
      const ever: SeenBackup[] = []
      let daily: readonly SeenBackup[] = []
      for (const { evening, made } of days) {
        ever.push(...made)
        daily = withDoubts([...daily, ...made], ever)
        const staying = new Set(kept(planRetention(daily, policy, evening)))
        daily = daily.filter(({ id }) => staying.has(id))
      }
      const end = days.at(-1)?.evening ?? new Date(0)
      const once = kept(planRetention(withDoubts(ever), policy, end))
      assert.deepEqual(daily.map(({ id }) => id).toSorted(), once.toSorted())
    }),
    12,
  )
})

test('six years of nightly backups under the usual policy come to 22 to 26, whatever the day', () => {
  const days = simulate(Array.from({ length: 2192 }, () => plainNight))
  let left: readonly SeenBackup[] = []
  const counts = new Set<number>()
  for (const [day, { evening, made }] of days.entries()) {
    left = [...left, ...made]
    const staying = new Set(kept(planRetention(left, { ...usual, timeZone: 'Europe/Brussels' }, evening)))
    left = left.filter(({ id }) => staying.has(id))
    if (day > 4 * 366) counts.add(left.length)
  }
  assert.ok(Math.min(...counts) >= 22 && Math.max(...counts) <= 26, [...counts].join())
})

test('the newest, the proven, the held, the locked and the doubted never go, and no guard is ever passed', async (t) => {
  const special = fc.record({ held: fc.boolean(), locked: fc.boolean(), proven: fc.boolean() })
  await holds(
    t,
    fc.property(
      seeds,
      policies,
      fc.array(special, { maxLength: 200 }),
      fc.constantFrom(0, 0.05, 0.2, 0.9, 1),
      fc.constantFrom(0, 3, 40),
      (seed, rules, specials, maxRemoveFraction, quietDays) => {
        const policy = { ...rules, maxRemoveFraction, newestWithinMs: 2 * dayMs }
        const days = simulate(nightsFrom(seed, 90))
        const now = new Date((days.at(-1)?.evening.getTime() ?? 0) + quietDays * dayMs)
        const backups = withDoubts(days.flatMap(({ made }) => made)).map((backup, index) => ({
          ...backup,
          held: specials[index]?.held === true ? 'a case' : undefined,
          lockedUntil: specials[index]?.locked === true ? new Date(now.getTime() + 1) : undefined,
          proven: specials[index]?.proven === true,
        }))
        const gone = new Set(removed(planRetention(backups, policy, now)))
        const believed = backups
          .filter(({ doubt, snapshotTime }) => doubt === undefined && snapshotTime <= now)
          .toSorted((a, b) => b.snapshotTime.getTime() - a.snapshotTime.getTime() || b.sequence - a.sequence)
        const mustStay = [
          ...believed.slice(0, policy.minKeep),
          ...believed.filter(({ proven }) => proven).slice(0, 2),
          ...backups.filter(({ held, lockedUntil, doubt }) => held ?? lockedUntil ?? doubt),
          ...backups.filter(({ snapshotTime }) => snapshotTime > now),
        ]
        for (const { id } of mustStay) assert.ok(!gone.has(id), id)
        assert.ok(gone.size <= maxRemoveFraction * backups.length)
        const newest = believed[0]
        if (newest === undefined || now.getTime() - newest.snapshotTime.getTime() > 2 * dayMs)
          assert.equal(gone.size, 0)
      },
    ),
    60,
  )
})

test('whatever is appended after the good ones, within a day none of theirs is lost but that day’s', async (t) => {
  const good = simulate(Array.from({ length: 60 }, () => plainNight))
  const before = good.flatMap(({ made }) => made)
  const seen = { at: new Date(good[59]?.evening ?? 0), before: good[58]?.evening ?? null }
  const policy = { ...usual, minKeep: 1 }
  const undisturbed = kept(planRetention(withDoubts(before), policy, seen.at))
  const forged = fc.record({
    sequence: fc.integer({ min: 1, max: 500 }),
    days: fc.double({ min: -90, max: 90, noNaN: true }),
  })
  await holds(
    t,
    fc.property(fc.array(forged, { maxLength: 40 }), (attack) => {
      const appended = attack.map(
        ({ sequence, days }, index): SeenBackup => ({
          ...(before[0] ?? assert.fail()),
          id: `forged ${index}`,
          sequence,
          snapshotTime: new Date(seen.at.getTime() + days * dayMs),
          firstSeen: { at: new Date(seen.at.getTime() + 3_600_000), before: seen.at },
        }),
      )
      const plan = planRetention(
        withDoubts([...before, ...appended]),
        policy,
        new Date(seen.at.getTime() + 3_600_000),
      )
      const lost = undisturbed.filter((id) => !kept(plan).includes(id))
      // The evening's own: whoever owns the host that day owns what is made on it.
      assert.deepEqual(
        lost.filter((id) => id !== before.at(-1)?.id),
        [],
      )
    }),
    200,
  )
})
