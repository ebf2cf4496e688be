/** A BackupId says when, sorts by when, and is recognized among everything else people type. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { newBackupId, parseBackupId } from '../../src/model/backup-id.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'

const day = fc.date({
  min: new Date('1000-01-01T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59Z'),
  noInvalidDate: true,
})
const tail = fc.uint8Array({ minLength: 4, maxLength: 8 }).map((bytes) => Buffer.from(bytes))

test('an id is the snapshot time to the second and eight hex digits', () => {
  const id = newBackupId(new Date('2026-11-23T02:00:00.987Z'), Buffer.from('7f3a9c2eff', 'hex'))
  assert.equal(id, '20261123T020000Z-7f3a9c2e')
})

test('every id made is one that is read back', async (t) => {
  const property = fc.property(day, tail, (time, bytes) => {
    const id = newBackupId(time, bytes)
    assert.equal(parseBackupId(id), id)
  })
  await holds(t, property, 500)
})

test('ids sort as text like their times, to the second', async (t) => {
  const property = fc.property(day, day, (one, other) => {
    const [a, b] = [newBackupId(one, randomBytes(4)), newBackupId(other, randomBytes(4))]
    const seconds = Math.floor(one.getTime() / 1000) - Math.floor(other.getTime() / 1000)
    if (seconds !== 0) assert.equal(a < b, seconds < 0)
    else assert.equal(a.slice(0, 16), b.slice(0, 16))
  })
  await holds(t, property, 500)
})

const notIds = [
  '',
  'latest',
  '20261123T020000Z',
  '20261123T020000Z-7f3a9c2',
  '20261123T020000Z-7f3a9c2e0',
  '20261123T020000Z-7F3A9C2E',
  '20261123T020000Z-7f3a9c2e\n',
  ' 20261123T020000Z-7f3a9c2e',
  '20261123T020000-7f3a9c2e',
  '2026-11-23T02:00:00Z-7f3a9c2e',
  '../20261123T020000Z-7f3a9c2e',
  '20261123T020000Z-7f3a9c2e/manifest.json',
]

test('what is no id is refused, shown without its control characters, with a hint that has one', () => {
  for (const text of notIds) {
    assert.throws(
      () => parseBackupId(text),
      (error) => {
        assert.ok(coded('ERR_NO_BACKUP', /^not a backup id: "/)(error))
        assert.match((error as { hint: string }).hint, /20261123T020000Z-7f3a9c2e/)
        assert.doesNotMatch((error as Error).message, /\p{Cc}/u)
        return true
      },
      text,
    )
  }
})

test('no other text than the one form is an id', async (t) => {
  const nearly = fc.stringMatching(/^\d{7,9}T\d{5,7}Z?-[0-9a-fA-Fx]{7,9}$/)
  const property = fc.property(fc.oneof(fc.string(), nearly), (text) => {
    if (/^\d{8}T\d{6}Z-[0-9a-f]{8}$/.test(text)) assert.equal(parseBackupId(text), text)
    else assert.throws(() => parseBackupId(text), coded('ERR_NO_BACKUP'))
  })
  await holds(t, property, 500)
})

test('a tail too short to be unique makes no id', () => {
  assert.throws(() => newBackupId(new Date(), randomBytes(3)), coded('ERR_NO_BACKUP'))
})
