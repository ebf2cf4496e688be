/** Numbers and tables as people read them: short, never wrong by a unit, and nothing in them that a terminal obeys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatBytes, formatTable } from '../../src/cli/units.ts'
import { visible } from '../../src/cli/visible.ts'
import { formatDuration } from '../../src/model/duration.ts'
import { holds } from '../support/property.ts'

test('sizes in decimal units', () => {
  for (const [sizeBytes, text] of [
    [0, '0 B'],
    [1, '1 B'],
    [0.4, '0 B'],
    [12.345678, '12 B'],
    [999, '999 B'],
    [999.4, '999 B'],
    [999.5, '1.0 kB'],
    [1000, '1.0 kB'],
    [1049, '1.0 kB'],
    [1050, '1.1 kB'],
    [99_949, '99.9 kB'],
    [412_300_000, '412 MB'],
    [41_230_000, '41.2 MB'],
    [999_400, '999 kB'],
    [999_500, '1.0 MB'],
    [5e9, '5.0 GB'],
    [7.3e12, '7.3 TB'],
    [2e15, '2.0 PB'],
    [12_345e15, '12345 PB'],
  ] as const) {
    assert.equal(formatBytes(sizeBytes), text)
  }
})

const scale: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15 }

test('a size is at most six characters and its unit, and right to five parts in a hundred', async (t) => {
  const size = fc.oneof(fc.double({ min: 0, max: 9e17, noNaN: true }), fc.integer({ min: 0, max: 5_000_000 }))
  const property = fc.property(size, (sizeBytes) => {
    const [, number = '', unit = ''] = /^(\d{1,3}(?:\.\d)?) ([kMGTP]?B)$/.exec(formatBytes(sizeBytes)) ?? []
    const told = Number(number) * (scale[unit] ?? Number.NaN)
    assert.ok(
      Math.abs(told - sizeBytes) <= Math.max(0.5, sizeBytes * 0.05),
      `${sizeBytes}: ${number} ${unit}`,
    )
  })
  await holds(t, property, 1000)
})

test('times as people say them', () => {
  for (const [seconds, text] of [
    [0, '0.0 s'],
    [0.04, '0.0 s'],
    [8, '8.0 s'],
    [9.94, '9.9 s'],
    [9.95, '10 s'],
    [59.4, '59 s'],
    [59.5, '1 min 0 s'],
    [200, '3 min 20 s'],
    [3599.4, '59 min 59 s'],
    [3599.5, '1 h 0 min'],
    [7500, '2 h 5 min'],
    [172_799, '47 h 59 min'],
    [172_800, '2 days'],
    [35 * 86_400 + 86_399, '35 days'],
  ] as const) {
    assert.equal(formatDuration(seconds), text)
  }
})

test('a longer time is never told as a shorter one', async (t) => {
  const secondsOf = (text: string): number =>
    [...text.matchAll(/([\d.]+) (s|min|h|days)/g)].reduce(
      (sum, [, number, unit]) =>
        sum + Number(number) * ({ s: 1, min: 60, h: 3600, days: 86_400 }[unit ?? ''] ?? Number.NaN),
      0,
    )
  const seconds = fc.oneof(
    fc.double({ min: 0, max: 4000, noNaN: true }),
    fc.double({ min: 0, max: 4e6, noNaN: true }),
  )
  const property = fc.property(seconds, seconds, (one, other) => {
    const [shorter, longer] = one < other ? [one, other] : [other, one]
    assert.ok(secondsOf(formatDuration(shorter)) <= secondsOf(formatDuration(longer)))
    assert.ok(Math.abs(secondsOf(formatDuration(longer)) - longer) <= Math.max(0.5, longer / 2))
  })
  await holds(t, property, 1000)
})

test('columns stand under each other', () => {
  assert.equal(
    formatTable(
      [
        ['ID', 'SIZE', 'READABLE BY'],
        ['20261123T020000Z-7f3a9c2e', '412 MB', 'ALICE'],
        ['x', '1 B', ''],
      ],
      [1],
    ),
    [
      'ID                           SIZE  READABLE BY',
      '20261123T020000Z-7f3a9c2e  412 MB  ALICE',
      'x                             1 B',
    ].join('\n'),
  )
  assert.equal(formatTable([], []), '')
  assert.equal(formatTable([['a'], ['b', 'c'], ['', 'd']], []), 'a\nb  c\n   d')
})

test('a table has one line for each row, no blanks at their ends, and every column begins at one place', async (t) => {
  const cell = fc.stringMatching(/^[a-z]{1,12}$/)
  const rows = fc
    .integer({ min: 1, max: 4 })
    .chain((n) => fc.array(fc.array(cell, { minLength: n, maxLength: n }), { minLength: 1, maxLength: 6 }))
  const property = fc.property(rows, (cells) => {
    const lines = formatTable(cells, []).split('\n')
    assert.equal(lines.length, cells.length)
    for (const [at, line] of lines.entries()) {
      assert.deepEqual(line.split(/ +/), cells[at])
      assert.equal(line, line.trimEnd())
    }
    const starts = lines.map((line) => [...line.matchAll(/(?<=^| )[a-z]/g)].map(({ index }) => index).join())
    assert.equal(new Set(starts).size, 1)
  })
  await holds(t, property, 200)
})

test('as many rows as a database can have tables', () => {
  const rows = Array.from({ length: 200_000 }, (_, n) => [`t${n}`, String(n)])
  assert.equal(formatTable(rows, [1]).split('\n').length, rows.length)
})

test('no control character gets through, from a name in a table or in a message', async (t) => {
  const dangerous = fc.constantFrom(
    '\u001b[2J',
    '\u009b2J',
    '\u007f',
    '\b',
    '\r',
    '\t',
    '\0',
    '\n',
    '\u0085',
    '\u001b]0;x\u0007',
  )
  const name = fc
    .array(fc.oneof(dangerous, fc.string({ unit: 'binary', maxLength: 4 })))
    .map((parts) => parts.join(''))
  const property = fc.property(name, (text) => {
    assert.doesNotMatch(formatTable([[text, 'x']], []), /\p{Cc}/u)
    assert.doesNotMatch(visible(text).replaceAll('\n', ''), /\p{Cc}/u)
  })
  await holds(t, property, 300)
  assert.equal(visible('a\u001b[2J\u009b\tb\nc é 😀'), 'a\\u001b[2J\\u009b\\tb\nc é 😀')
})
