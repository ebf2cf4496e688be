/** Progress on a terminal and in a log: lines that fit, rates and times that are right, and not too many of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { progressLine, progressTeller } from '../../src/cli/progress.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import type { Event, Stage } from '../../src/observe/events.ts'
import { holds } from '../support/property.ts'

/** One that is missing here does not compile. */
const everyStage: Readonly<Record<Stage, true>> = {
  connecting: true,
  snapshot: true,
  definitions: true,
  rows: true,
  inventory: true,
  committing: true,
  opening: true,
  decrypting: true,
  loading: true,
  indexes: true,
  comparing: true,
  renaming: true,
  checking: true,
}
const stages = Object.keys(everyStage) as Stage[]

interface Told {
  readonly terminal: Terminal
  readonly said: string[]
  readonly over: string[]
}

function listen(columns: number, isTerminal: boolean): Told {
  const said: string[] = []
  const over: string[] = []
  const terminal: Terminal = {
    result: () => assert.fail('progress is no result'),
    say: (text) => void said.push(text),
    sayOver: isTerminal ? (line) => void over.push(line) : undefined,
    ask: undefined,
    columns,
  }
  return { terminal, said, over }
}

const bytes = fc.oneof(fc.nat(5000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))
const progress = fc.record({ doneBytes: bytes, totalBytes: bytes })
/** A clock has milliseconds. */
const seconds = fc.oneof(fc.nat(100), fc.integer({ min: 0, max: 10_000_000_000 })).map((ms) => ms / 1000)
const columns = fc.oneof(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 2, max: 250 }))
const stage = fc.constantFrom(...stages)

test('a line never reaches the last column, and says how far it is wherever there is room', async (t) => {
  const property = fc.property(stage, progress, seconds, columns, (stage, done, passed, columns) => {
    const line = progressLine(stage, done, passed, columns)
    assert.ok(line.length < columns, `${line.length} in ${columns}: ${line}`)
    if (columns >= 8) assert.match(line, /(?:^|\s)(?:\d| \d|  \d)\d{0,2} %/)
    assert.doesNotMatch(line, /NaN|Infinity|undefined|-\d|e\+/)
  })
  await holds(t, property, 2000)
})

test('an ordinary terminal of 80 columns shows title, percent, bytes and time left of every stage', () => {
  for (const stage of stages) {
    const line = progressLine(stage, { doneBytes: 123_400_000_000, totalBytes: 456_700_000_000 }, 7260, 80)
    assert.match(line, /^[a-z ,]+[^a-z]* 27 %  .*5 h 26 min left$/, line)
  }
  const full = progressLine('rows', { doneBytes: 50_000_000, totalBytes: 200_000_000 }, 10, 120)
  assert.equal(
    full,
    `reading and sealing ${'█'.repeat(8)}${'░'.repeat(22)}  25 %  50.0 MB of 200 MB  5.0 MB/s  30 s left`,
  )
})

test('shares, rates and times left are those of the numbers', async (t) => {
  const property = fc.property(stage, progress, seconds, (stage, { doneBytes, totalBytes }, passed) => {
    const line = progressLine(stage, { doneBytes, totalBytes }, passed, 300)
    const percent = Number(/(\d+) %/.exec(line)?.[1])
    assert.ok(percent >= 0 && percent <= 100)
    if (doneBytes < totalBytes) assert.ok(percent < 100, 'not done yet')
    if (doneBytes >= totalBytes) assert.equal(percent, 100)
    const left = / (\S+)(?: [a-z]+)? left$|  ([^/]+) left$/.exec(line)?.[0] ?? ''
    if (doneBytes === 0 || passed === 0) assert.match(left, / … left$/)
    else if (doneBytes >= totalBytes) assert.match(left, / 0\.0 s left$/)
    const filled = line.replace(/[^█]/g, '').length
    assert.ok(Math.abs(filled - 30 * Math.min(1, totalBytes === 0 ? 1 : doneBytes / totalBytes)) <= 0.5)
  })
  await holds(t, property, 1000)
})

test('twice as fast leaves half the time', () => {
  const at = (passed: number): string =>
    progressLine('loading', { doneBytes: 1e9, totalBytes: 3e9 }, passed, 200)
  assert.match(at(60), /16\.7 MB\/s  2 min 0 s left$/)
  assert.match(at(30), /33\.3 MB\/s  1 min 0 s left$/)
})

const eventOf = (stage: Stage, doneBytes: number): Event => ({
  type: 'progress',
  stage,
  doneBytes,
  totalBytes: 1000,
})

test('on a terminal one line moves, at most ten times a second, and is cleared for what must stay', () => {
  const { terminal, said, over } = listen(80, true)
  let at = 0
  const { emit, end } = progressTeller({ terminal, now: () => new Date(at), quiet: false })
  emit({ type: 'stage', stage: 'rows' })
  for (at = 0; at < 1000; at += 1) emit(eventOf('rows', at))
  assert.ok(over.length >= 9 && over.length <= 11, `${over.length} lines in a second`)
  emit({ type: 'warning', message: 'a key expires', hint: 'make a new one' })
  assert.equal(over.at(-1), '')
  assert.deepEqual(said, ['coffre: warning: a key expires\ncoffre: hint: make a new one'])
  end()
  assert.equal(over.at(-1), '')
})

test('no line on a terminal is wider than it, whatever it is wide', () => {
  for (const columns of [0, 1, 2, 10, 40, 79, 80, 200]) {
    const { terminal, over } = listen(columns, true)
    let at = 0
    const { emit } = progressTeller({ terminal, now: () => new Date(at), quiet: false })
    for (const stage of stages) {
      emit({ type: 'stage', stage })
      at += 5000
      emit(eventOf(stage, 500))
    }
    assert.equal(over.length, 2 * stages.length)
    const widest = Math.max(...over.map((line) => line.length))
    assert.ok(widest > 0 && widest < (columns > 1 ? columns : 80), `${widest} in ${columns}`)
  }
})

test('in a log there is a line per stage, and one every ten seconds', () => {
  const { terminal, said } = listen(80, false)
  let at = 0
  const { emit, end } = progressTeller({ terminal, now: () => new Date(at), quiet: false })
  emit({ type: 'stage', stage: 'rows' })
  for (; at <= 60_000; at += 50) emit(eventOf('rows', at / 100))
  emit({ type: 'stage', stage: 'committing' })
  end()
  assert.equal(said.length, 1 + 6 + 1)
  assert.deepEqual([said[0], said.at(-1)], ['reading and sealing …', 'signing and committing …'])
})

test('quiet says warnings and nothing else', () => {
  const { terminal, said, over } = listen(80, true)
  let at = 0
  const { emit } = progressTeller({ terminal, now: () => new Date(at), quiet: true })
  emit({ type: 'stage', stage: 'rows' })
  at = 60_000
  emit(eventOf('rows', 500))
  emit({ type: 'note', message: 'by the way' })
  emit({ type: 'warning', message: 'look', hint: 'here' })
  assert.deepEqual(said, ['coffre: warning: look\ncoffre: hint: here'])
  assert.deepEqual(
    over.filter((line) => line !== ''),
    [],
  )
})

test('progress before any stage is not shown, and names from outside cannot move the cursor', () => {
  const { terminal, said, over } = listen(80, true)
  const { emit } = progressTeller({ terminal, now: () => new Date(), quiet: false })
  emit(eventOf('rows', 500))
  assert.deepEqual(over, [])
  emit({ type: 'note', message: 'a \u001b[2Jname' })
  assert.deepEqual(said, ['a \\u001b[2Jname'])
})
