/** The one table of errors: what scripts may rely on, written down a second time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asCoffreError, CoffreError, type ErrorCode } from '../../src/errors.ts'

/** A code that is missing here does not compile; changing a number breaks somebody's script. */
const exitStatuses: Readonly<Record<ErrorCode, number>> = {
  ERR_INTERNAL: 1,
  ERR_USAGE: 2,
  ERR_CONFIG: 2,
  ERR_PIN: 2,
  ERR_KEY: 2,
  ERR_NO_BACKUP: 5,
  ERR_LEASE_HELD: 6,
  ERR_NO_IDENTITY: 7,
  ERR_SHARE: 7,
  ERR_SIGNATURE: 8,
  ERR_DIGEST: 8,
  ERR_FORMAT: 8,
  ERR_PROGRAM: 1,
  ERR_POSTGRES: 1,
  ERR_CONNECT: 1,
  ERR_SOURCE: 1,
  ERR_DESTINATION: 1,
  ERR_MISMATCH: 1,
  ERR_STORE: 1,
  ERR_STORE_FULL: 1,
  ERR_STORE_DENIED: 1,
  ERR_NOT_STORED: 1,
  ERR_EXISTS: 1,
  ERR_INTERRUPTED: 130,
}
const codes = Object.keys(exitStatuses) as ErrorCode[]

/** As the command line promises them; 3 (degraded) comes from a result and not from an error. */
const promised = new Set([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 130])

test('every code has the exit status it always had, one of those promised', () => {
  for (const code of codes) {
    const { exitStatus } = new CoffreError(code, 'something')
    assert.equal(exitStatus, exitStatuses[code], code)
    assert.ok(promised.has(exitStatus), code)
  }
})

test('every code has a hint: one line, lower case, without a full stop', () => {
  for (const code of codes) {
    const { hint } = new CoffreError(code, 'something')
    assert.match(hint, /^[^A-Z\s]/, code)
    assert.doesNotMatch(hint, /[.!\s]$|\n/, code)
    assert.ok(hint.length > 10 && hint.length <= 110, `${code}: ${hint.length} characters`)
  }
})

test('a hint given where it was thrown goes before the hint of the table', () => {
  const error = new CoffreError('ERR_STORE', 'the disk is away', { hint: 'mount it' })
  assert.deepEqual([error.hint, error.message, error.name], ['mount it', 'the disk is away', 'CoffreError'])
})

test('the cause is kept, and there is none where none was given', () => {
  const cause = new Error('below')
  assert.equal(new CoffreError('ERR_STORE', 'above', { cause }).cause, cause)
  assert.equal('cause' in new CoffreError('ERR_STORE', 'above'), false)
})

test('an error thrown on purpose stays the same one', () => {
  const error = new CoffreError('ERR_DIGEST', 'altered')
  assert.equal(asCoffreError(error), error)
})

test('an abort is an interruption, anything else that is thrown a fault of coffre', () => {
  const aborted = AbortSignal.abort().reason as Error
  assert.equal(asCoffreError(aborted).code, 'ERR_INTERRUPTED')
  assert.equal(asCoffreError(aborted).exitStatus, 130)
  for (const [thrown, message] of [
    [new TypeError('x is not a function'), 'x is not a function'],
    ['a text', 'a text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('s'), 'Symbol(s)'],
  ] as const) {
    const { code, message: said, cause, exitStatus } = asCoffreError(thrown)
    assert.deepEqual([code, said, cause, exitStatus], ['ERR_INTERNAL', message, thrown, 1])
  }
})
