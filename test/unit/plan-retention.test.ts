/** What retention never removes, whom it does not let take a place, and that every decision has its reason. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { planRetention, type RetainedBackup } from '../../src/model/retention/plan-retention.ts'
import { isTimeZone, periodsOf } from '../../src/model/retention/periods.ts'
import {
  afterAll,
  backupsAt,
  dayMs,
  kept,
  nightly,
  removed,
  rulesAlone,
  usual,
  withDoubts,
  type SeenBackup,
} from '../support/retained-backups.ts'

const changed = (
  backups: readonly RetainedBackup[],
  index: number,
  change: Partial<RetainedBackup>,
): readonly RetainedBackup[] =>
  backups.map((backup, at) => (at === index ? { ...backup, ...change } : backup))

const reasonsOf = (plan: ReturnType<typeof planRetention>, id: string | undefined): readonly string[] =>
  [...plan.keep, ...plan.remove].find((one) => one.id === id)?.reasons ?? []

describe('periods', () => {
  test('a day is that of the configured zone, on both sides of midnight and of summer time', () => {
    assert.equal(periodsOf(new Date('2026-11-23T23:30:00Z'), 'Europe/Brussels').daily, '2026-11-24')
    assert.equal(periodsOf(new Date('2026-11-23T23:30:00Z'), 'UTC').daily, '2026-11-23')
    // The night of 2026-03-29 has no two o'clock in Brussels, that of 2026-10-25 has it twice.
    assert.equal(periodsOf(new Date('2026-03-28T22:59:59Z'), 'Europe/Brussels').daily, '2026-03-28')
    assert.equal(periodsOf(new Date('2026-03-28T23:00:00Z'), 'Europe/Brussels').daily, '2026-03-29')
    assert.equal(periodsOf(new Date('2026-10-25T00:30:00Z'), 'Europe/Brussels').daily, '2026-10-25')
    assert.equal(periodsOf(new Date('2026-10-25T01:30:00Z'), 'Europe/Brussels').daily, '2026-10-25')
    assert.equal(periodsOf(new Date('2026-10-25T23:00:00Z'), 'Europe/Brussels').daily, '2026-10-26')
  })

  test('a week is that of ISO 8601, whose year is not always the date’s', () => {
    const week = (day: string): string => periodsOf(new Date(`${day}T12:00:00Z`), 'UTC').weekly
    assert.equal(week('2026-11-22'), '2026-W47')
    assert.equal(week('2026-11-23'), '2026-W48')
    assert.equal(week('2027-01-03'), '2026-W53')
    assert.equal(week('2027-01-04'), '2027-W01')
    assert.equal(week('2024-12-30'), '2025-W01')
    assert.equal(week('2016-01-03'), '2015-W53')
  })

  test('a zone that nobody knows is told apart', () => {
    assert.ok(isTimeZone('Europe/Brussels'))
    assert.ok(!isTimeZone('Europe/Atlantis'))
  })
})

describe('what stays and what goes', () => {
  test('every backup is decided once, with reasons', () => {
    const backups = nightly('2024-01-01', 700)
    const plan = planRetention(backups, usual, afterAll(backups))
    assert.deepEqual([...kept(plan), ...removed(plan)].toSorted(), backups.map(({ id }) => id).toSorted())
    for (const { id, reasons } of [...plan.keep, ...plan.remove]) assert.ok(reasons.length > 0, id)
    assert.deepEqual(reasonsOf(plan, backups.at(-1)?.id), [
      'newest',
      'daily 2025-11-30',
      'weekly 2025-W48',
      'monthly 2025-11',
      'yearly 2025',
    ])
    assert.deepEqual(reasonsOf(plan, backups.at(-8)?.id), ['weekly 2025-W47'])
    assert.match(
      reasonsOf(plan, backups.at(-9)?.id).join('; '),
      /daily: older than the 7 days kept; weekly: .* is newer in 2025-W47; monthly: .* is newer in 2025-11; yearly:/,
    )
  })

  test('two servers under one name never push each other’s backups out', () => {
    const backups = nightly('2026-01-01', 30).map((backup, day) => ({
      ...backup,
      systemIdentifier: day < 15 ? '1' : '2',
    }))
    const both = planRetention(backups, { ...rulesAlone, daily: 7 }, afterAll(backups))
    assert.equal(kept(both).length, 14)
  })

  test('one source’s backups never push another’s out, and one’s guard does not hold up the other', () => {
    const koprogo = nightly('2026-01-01', 30)
    const shop = nightly('2025-01-01', 30).map((backup) => ({
      ...backup,
      source: 'shop',
      id: `shop ${backup.id}`,
    }))
    const policy = { ...rulesAlone, daily: 7, newestWithinMs: 2 * dayMs }
    const plan = planRetention([...koprogo, ...shop], policy, afterAll(koprogo))
    assert.equal(removed(plan).length, 23)
    assert.deepEqual(
      plan.refused.map(({ source }) => source),
      ['shop'],
    )
    assert.equal(plan.keep.filter(({ source }) => source === 'shop').length, 30)
  })
})

describe('never removed', () => {
  const backups = nightly('2026-01-01', 30)
  const now = afterAll(backups)
  const policy = { ...rulesAlone, daily: 2 }

  test('the newest, though the policy asks for nothing', () => {
    assert.deepEqual(kept(planRetention(backups, rulesAlone, now)), [backups.at(-1)?.id])
  })

  test('the two newest proven, however old', () => {
    const proven = [3, 5, 9].reduce<readonly RetainedBackup[]>(
      (all, index) => changed(all, index, { proven: true }),
      backups,
    )
    const plan = planRetention(proven, policy, now)
    assert.deepEqual(reasonsOf(plan, backups[9]?.id), ['newest proven'])
    assert.deepEqual(reasonsOf(plan, backups[5]?.id), ['second newest proven'])
    assert.ok(removed(plan).includes(backups[3]?.id ?? ''))
  })

  test('a held one, and a locked one until its lock ends', () => {
    const until = new Date(now.getTime() + dayMs)
    const special = changed(changed(backups, 4, { held: 'case 7' }), 6, { lockedUntil: until })
    const plan = planRetention(special, policy, now)
    assert.deepEqual(reasonsOf(plan, backups[4]?.id), ['held: case 7'])
    assert.deepEqual(plan.locked, [{ source: 'koprogo', id: backups[6]?.id, until }])
    assert.ok(!removed(plan).includes(backups[6]?.id ?? ''))
    const later = planRetention(special, policy, new Date(until.getTime() + 1))
    assert.ok(removed(later).includes(backups[6]?.id ?? ''))
  })

  test('the newest min_keep', () => {
    assert.equal(kept(planRetention(backups, { ...rulesAlone, minKeep: 9 }, now)).length, 9)
  })

  test('more than the guard’s fraction at once: then nothing goes, and it says what would have', () => {
    const guarded = { ...policy, maxRemoveFraction: 0.2 }
    const plan = planRetention(backups, guarded, now)
    assert.deepEqual(removed(plan), [])
    assert.match(plan.refused[0]?.guard ?? '', /28 of 30 .* lets 6 go/)
    assert.deepEqual(reasonsOf(plan, backups[0]?.id).slice(0, 1), ['refused by a guard'])
    assert.equal(removed(planRetention(backups, { ...guarded, daily: 24 }, now)).length, 6)
    assert.equal(removed(planRetention(backups, { ...guarded, daily: 23 }, now)).length, 0)
  })

  test('anything while backups have stopped', () => {
    const fresh = { ...policy, newestWithinMs: 2 * dayMs }
    assert.equal(removed(planRetention(backups, fresh, new Date(now.getTime() + 3 * dayMs))).length, 0)
    assert.equal(removed(planRetention(backups, fresh, new Date(now.getTime() + dayMs))).length, 28)
  })
})

describe('first sight decides', () => {
  const good = nightly('2026-01-01', 30)
  const policy = { ...rulesAlone, daily: 7, weekly: 4 }
  const now = new Date(afterAll(good).getTime() + 3_600_000)
  const seenNow = { at: now, before: good.at(-1)?.firstSeen.at ?? null }
  const undisturbed = kept(planRetention(good, policy, now))
  const appended = (sequence: number, time: Date): SeenBackup => ({
    ...(good[0] ?? assert.fail()),
    id: `${time.toISOString()}-appended`,
    sequence,
    snapshotTime: time,
    firstSeen: seenNow,
  })
  const doubtedAlone = (attack: readonly SeenBackup[], doubt: RegExp): void => {
    const plan = planRetention(withDoubts([...good, ...attack]), policy, now)
    const ids = attack.map(({ id }) => id)
    assert.deepEqual(
      kept(plan).filter((id) => !ids.includes(id)),
      undisturbed,
    )
    assert.deepEqual(plan.doubted.map(({ id }) => id).toSorted(), ids.toSorted())
    for (const { doubt: said } of plan.doubted) assert.match(said, doubt)
    assert.ok(
      ids.every((id) => kept(plan).includes(id)),
      'what is doubted is left for a person to see',
    )
  }

  test('backups dated in the future push nothing out, and are told', () => {
    const attack = [1, 2, 400, 4000].map((days) =>
      appended(30 + days, new Date(now.getTime() + days * dayMs)),
    )
    doubtedAlone(attack, /in the future|after it was first seen/)
  })

  test('backdated ones take no day, week or month of the good ones', () => {
    const attack = good.map(({ snapshotTime }, index) =>
      appended(31 + index, new Date(snapshotTime.getTime() + 60_000)),
    )
    doubtedAlone(attack.slice(0, -1), /first seen on|dated before number 30/)
  })

  test('one out of sequence, or with a number already seen, takes no place', () => {
    doubtedAlone([appended(30, new Date(now.getTime() - 60_000))], /out of sequence/)
    doubtedAlone([appended(12, new Date(now.getTime() - 60_000))], /out of sequence/)
  })

  test('a night with a wrong clock does not taint the backups after it', () => {
    const times = good.map(({ snapshotTime }, day) =>
      day === 12 ? new Date(snapshotTime.getTime() + 500 * dayMs) : snapshotTime,
    )
    const backups = good.map((backup, day) => ({ ...backup, snapshotTime: times[day] ?? now }))
    const plan = planRetention(withDoubts(backups), policy, now)
    assert.deepEqual(
      plan.doubted.map(({ id }) => id),
      [good[12]?.id],
    )
    assert.deepEqual(
      kept(plan).filter((id) => id !== good[12]?.id),
      undisturbed,
    )
  })

  test('where the pruner was away, all that was made meanwhile counts', () => {
    const backups = backupsAt(good.map(({ snapshotTime }) => snapshotTime)).map((backup, index) => ({
      ...backup,
      firstSeen: index < 3 ? backup.firstSeen : { at: now, before: good[2]?.firstSeen.at ?? null },
    }))
    const plan = planRetention(withDoubts(backups), policy, now)
    assert.deepEqual(plan.doubted, [])
    assert.deepEqual(kept(plan), undisturbed)
  })

  test('what was there when the pruner began counts, whatever its age', () => {
    const backups = good.map((backup) => ({ ...backup, firstSeen: { at: now, before: null } }))
    assert.deepEqual(kept(planRetention(withDoubts(backups), policy, now)), undisturbed)
  })

  test('what a removed backup bore witness to still counts', () => {
    // Dated a minute before number 30 and seen after it; then number 30 goes.
    const late = appended(31, new Date((good.at(-1)?.snapshotTime.getTime() ?? 0) - 60_000))
    const left = good.slice(0, -1)
    const plan = planRetention(withDoubts([...left, late], [...good, late]), policy, now)
    assert.deepEqual(
      plan.doubted.map(({ id }) => id),
      [late.id],
    )
  })
})
