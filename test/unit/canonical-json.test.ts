/** One value has one text: whatever JSON can say comes back, and no second spelling of it is read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeJson, encodeJson } from '../../src/model/canonical-json.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'

const refused = coded('ERR_FORMAT', /^the thing is not /)

/** JSON has one zero: `-0` is written as `0`. */
function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

const jsonValue = fc
  .jsonValue({ maxDepth: 4, stringUnit: 'binary' })
  .map((value) => withoutNegativeZero(value))

test('any JSON value comes back as it was', async (t) => {
  const property = fc.property(jsonValue, (value) => {
    assert.deepEqual(decodeJson(encodeJson(value), 'the thing'), value)
  })
  await holds(t, property, 500)
})

test('keys that mean something in JavaScript come back as keys', () => {
  const text = '{\n  "10": 1,\n  "__proto__": {\n    "polluted": true\n  },\n  "constructor": null\n}\n'
  const value = decodeJson(Buffer.from(text), 'the thing') as Record<string, unknown>
  assert.deepEqual(Object.keys(value), ['10', '__proto__', 'constructor'])
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.equal(encodeJson(value).toString(), text)
})

const spellings: readonly (readonly [what: string, bytes: string | Buffer])[] = [
  ['a duplicate key', '{\n  "a": 1,\n  "a": 1\n}\n'],
  ['a duplicate key with another value', '{\n  "a": 2,\n  "a": 1\n}\n'],
  ['a key written in two ways', '{\n  "a": 1,\n  "\\u0061": 1\n}\n'],
  ['no white space', '{"a":1}\n'],
  ['four spaces', '{\n    "a": 1\n}\n'],
  ['a tab', '{\n\t"a": 1\n}\n'],
  ['carriage returns', '{\r\n  "a": 1\r\n}\r\n'],
  ['white space before', ' {\n  "a": 1\n}\n'],
  ['no newline at the end', '{\n  "a": 1\n}'],
  ['two newlines at the end', '{\n  "a": 1\n}\n\n'],
  ['bytes behind the end', '{\n  "a": 1\n}\n{}'],
  ['a zero byte behind the end', '{\n  "a": 1\n}\n\0'],
  ['a byte-order mark', '\uFEFF{\n  "a": 1\n}\n'],
  ['UTF-16', Buffer.from('{\n  "a": 1\n}\n', 'utf16le')],
  ['keys in another order than a reader gives them', '{\n  "2": 1,\n  "1": 1\n}\n'],
  ['1.0', '1.0\n'],
  ['1e0', '1e0\n'],
  ['-0', '-0\n'],
  ['a number with more digits than there are', '0.10000000000000001\n'],
  ['a number too large', '1e400\n'],
  ['a needless escape', '"\\u0061"\n'],
  ['an escaped slash', '"\\/"\n'],
  ['an upper-case escape', '"\\u001F"\n'],
  ['an escape that has a shorter one', '"\\u000a"\n'],
  ['a character that may stand for itself', '"\\u00e9"\n'],
  ['an overlong byte sequence', Buffer.from([0x22, 0xc0, 0xaf, 0x22, 10])],
  ['half a character', Buffer.from([0x22, 0xe2, 0x82, 0x22, 10])],
  ['a lone surrogate as bytes', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22, 10])],
  ['a byte that no UTF-8 has', Buffer.from([0x22, 0xff, 0x22, 10])],
  ['nothing', ''],
  ['something else', 'null null\n'],
  ['a comment', '// a\nnull\n'],
  ['deep nesting that no writer makes', '['.repeat(20_000) + ']'.repeat(20_000)],
  ['a depth without end', '['.repeat(30_000)],
]

for (const [what, bytes] of spellings) {
  test(`refuses ${what}`, () => {
    assert.throws(() => decodeJson(Buffer.from(bytes as string), 'the thing'), refused)
  })
}

test('no change of a few bytes gives another reading of the same value', async (t) => {
  const change = fc.record({ at: fc.nat(), removed: fc.nat(3), inserted: fc.uint8Array({ maxLength: 3 }) })
  const property = fc.property(jsonValue, change, (value, { at, removed, inserted }) => {
    const bytes = encodeJson(value)
    const start = at % bytes.length
    const altered = Buffer.concat([bytes.subarray(0, start), inserted, bytes.subarray(start + removed)])
    fc.pre(!altered.equals(bytes))
    try {
      assert.notDeepEqual(decodeJson(altered, 'the thing'), value)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      refused(error)
    }
  })
  await holds(t, property, 500)
})
