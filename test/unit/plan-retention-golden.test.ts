/**
 * restic's published golden cases for the rules that are the same (restic, internal/data/testdata,
 * policy_keep_snapshots_N, BSD 2-Clause): the facts of them, its moments and what it keeps of them. `last` there is
 * `min_keep` here.
 *
 * One difference, stated by the `oldest` column: restic also keeps the oldest backup of all as long as a rule's count is
 * not used up. Here a rule keeps the newest of its periods and nothing else: an oldest backup that is the newest of no
 * period asked for is personal data without a reason to be kept.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planRetention, type RetentionPolicy } from '../../src/model/retention/plan-retention.ts'
import { afterAll, backupsAt, rulesAlone } from '../support/retained-backups.ts'

/** Days of a month, each at 10:20:30; the 13th of some has a second one a tenth of a second later. */
const monthOf = (month: string, days: readonly number[]): readonly string[] =>
  days.map(
    (day) => `${month}-${String(Math.floor(day)).padStart(2, '0')}T10:20:30${day % 1 === 0 ? '' : '.1'}Z`,
  )

const early = [8, 10, 12, 13, 13.1, 15, 18, 20, 21, 22]
const late = [1, 2, 5, 6, 8, 9, 10, 11, 20, 22]
const moments = [
  ...monthOf('2014-08', early),
  ...monthOf('2014-09', late),
  ...monthOf('2014-10', late),
  ...monthOf('2014-11', early),
  ...monthOf('2015-08', early),
  ...monthOf('2015-09', late),
  ...monthOf('2015-10', [...late, 22, 22, 22, 22]),
  ...monthOf('2015-11', early),
  '2016-01-01T01:02:03Z',
  '2016-01-01T01:03:03Z',
  '2016-01-01T07:08:03Z',
  '2016-01-03T07:02:03Z',
  '2016-01-04T10:23:03Z',
  '2016-01-04T11:23:03Z',
  '2016-01-04T12:23:03Z',
  '2016-01-04T12:24:03Z',
  '2016-01-04T12:28:03Z',
  '2016-01-04T12:30:03Z',
  '2016-01-04T16:23:03Z',
  '2016-01-05T09:02:03Z',
  '2016-01-06T08:02:03Z',
  '2016-01-07T10:02:03Z',
  '2016-01-08T20:02:03Z',
  '2016-01-09T21:02:03Z',
  '2016-01-12T21:02:03Z',
  '2016-01-12T21:08:03Z',
  '2016-01-18T12:02:03Z',
]

const ten = [
  '2016-01-18T12:02:03',
  '2016-01-12T21:08:03',
  '2016-01-09T21:02:03',
  '2016-01-08T20:02:03',
  '2016-01-07T10:02:03',
  '2016-01-06T08:02:03',
  '2016-01-05T09:02:03',
  '2016-01-04T16:23:03',
  '2016-01-03T07:02:03',
  '2016-01-01T07:08:03',
]
const twentyMore = [
  ...['22', '21', '20', '18', '15'].map((day) => `2015-11-${day}T10:20:30`),
  '2015-11-13T10:20:30.1',
  ...['12', '10', '08'].map((day) => `2015-11-${day}T10:20:30`),
  ...['22', '20', '11', '10', '09', '08', '06', '05', '02', '01'].map((day) => `2015-10-${day}T10:20:30`),
  '2015-09-22T10:20:30',
]
const months = [
  '2016-01-18T12:02:03',
  ...['2015-11', '2015-10', '2015-09', '2015-08', '2014-11'].map((month) => `${month}-22T10:20:30`),
]
const weeks = ['2016-01-18T12:02:03', '2016-01-12T21:08:03', '2016-01-09T21:02:03', '2016-01-03T07:02:03']

interface Case {
  /** Its number in restic's files. */
  readonly golden: number
  readonly policy: Partial<RetentionPolicy>
  readonly keeps: readonly string[]
  /** What restic keeps beyond that, as the oldest of all. */
  readonly oldest?: string
}

const cases: readonly Case[] = [
  { golden: 6, policy: { daily: 3 }, keeps: ten.slice(0, 3) },
  { golden: 7, policy: { daily: 10 }, keeps: ten },
  { golden: 8, policy: { daily: 30 }, keeps: [...ten, ...twentyMore] },
  { golden: 9, policy: { minKeep: 5, daily: 5 }, keeps: [...ten.slice(0, 5), '2016-01-12T21:02:03'] },
  { golden: 10, policy: { minKeep: 2, daily: 10 }, keeps: ten },
  { golden: 11, policy: { weekly: 2 }, keeps: weeks.slice(0, 2) },
  { golden: 12, policy: { weekly: 4 }, keeps: weeks },
  { golden: 13, policy: { daily: 3, weekly: 4 }, keeps: weeks },
  { golden: 14, policy: { monthly: 6 }, keeps: months },
  { golden: 15, policy: { daily: 2, weekly: 2, monthly: 6 }, keeps: [...months, '2016-01-12T21:08:03'] },
  {
    golden: 16,
    policy: { yearly: 10 },
    keeps: ['2016-01-18T12:02:03', '2015-11-22T10:20:30', '2014-11-22T10:20:30'],
    oldest: '2014-08-08T10:20:30',
  },
  {
    golden: 17,
    policy: { daily: 7, weekly: 2, monthly: 3, yearly: 10 },
    keeps: [...ten.slice(0, 7), '2015-11-22T10:20:30', '2015-10-22T10:20:30', '2014-11-22T10:20:30'],
    oldest: '2014-08-08T10:20:30',
  },
  {
    golden: 39,
    policy: { daily: 3, weekly: 2, monthly: 'all', yearly: 'all' },
    keeps: [
      ...months,
      ...['2014-10', '2014-09', '2014-08'].map((month) => `${month}-22T10:20:30`),
      '2016-01-12T21:08:03',
      '2016-01-09T21:02:03',
    ],
    oldest: '2014-08-08T10:20:30',
  },
]

const backups = backupsAt(moments)
const momentOf = new Map(
  backups.map(({ id, snapshotTime }) => [id, snapshotTime.toISOString().replace(/(\.000|00)?Z$/, '')]),
)

for (const { golden, policy, keeps, oldest } of cases) {
  test(`restic's golden case ${golden} holds${oldest === undefined ? '' : ', but for the oldest of all'}`, () => {
    const plan = planRetention(backups, { ...rulesAlone, ...policy }, afterAll(backups))
    const kept = plan.keep.map(({ id }) => momentOf.get(id) ?? '')
    assert.deepEqual(kept.toSorted(), keeps.toSorted())
    assert.equal(plan.keep.length + plan.remove.length, backups.length)
    if (oldest !== undefined) assert.ok(!kept.includes(oldest))
  })
}
