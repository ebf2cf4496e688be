/** When somebody hears that a key is to be replaced: 60, 30 and 7 days before it expires, and after twelve months. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyWarning } from '../../src/model/key-age.ts'

const createdAt = new Date('2026-01-15T12:00:00Z')
const day = 86_400_000

test('the last threshold that was passed is named, to the day', () => {
  const expiresAt = new Date('2026-12-24T12:00:00Z')
  const at = (daysLeft: number): string | undefined =>
    keyWarning({ createdAt, expiresAt }, new Date(expiresAt.getTime() - daysLeft * day))
  assert.equal(at(60.1), undefined)
  assert.equal(at(60), 'expires on 2026-12-24, within 60 days')
  assert.equal(at(30.1), 'expires on 2026-12-24, within 60 days')
  assert.equal(at(30), 'expires on 2026-12-24, within 30 days')
  assert.equal(at(7.1), 'expires on 2026-12-24, within 30 days')
  assert.equal(at(7), 'expires on 2026-12-24, within 7 days')
  assert.equal(at(0), 'expired on 2026-12-24')
  assert.equal(at(-400), 'expired on 2026-12-24')
})

test('a key is to be replaced when it is twelve months old, whether it expires or not', () => {
  for (const expiresAt of [undefined, new Date('2028-01-01T00:00:00Z')]) {
    assert.equal(keyWarning({ createdAt, expiresAt }, new Date('2027-01-15T11:59:59Z')), undefined)
    assert.equal(
      keyWarning({ createdAt, expiresAt }, new Date('2027-01-15T12:00:00Z')),
      'is to be replaced since 2027-01-15, 12 months old',
    )
  }
})
