/** The keyring as data: read strictly, asked who may sign what, and held against a configuration's pins. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { manifestSigners, parseKeyring, pinDifferences, type Keyring } from '../../src/model/keyring.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'
import { jsonKind, pathsOf, valueAt, withValueAt } from '../support/sample-manifest.ts'

const print = (digit: string): string => digit.repeat(40)

function sample(changes: Partial<Keyring> = {}): Keyring {
  return {
    type: 'coffre-keyring',
    format: 1,
    repository: '0123456789abcdef0123456789abcdef',
    version: 3,
    createdAt: '2026-11-23T02:00:00.000Z',
    root: { fingerprint: print('0'), publicKey: 'root' },
    recipients: [
      { fingerprint: print('A'), subkey: print('B'), publicKey: 'alice' },
      { fingerprint: print('C'), subkey: print('D'), publicKey: 'carol' },
    ],
    signers: [
      { fingerprint: print('1'), role: 'host', sources: ['koprogo', 'shop'], publicKey: 'one' },
      { fingerprint: print('2'), role: 'host', sources: ['*'], publicKey: 'two' },
      { fingerprint: print('3'), role: 'driller', sources: [], publicKey: 'three' },
      { fingerprint: print('4'), role: 'operator', sources: [], publicKey: 'four' },
      { fingerprint: print('5'), role: 'driller', sources: ['*'], publicKey: 'five' },
      { fingerprint: print('6'), role: 'host', sources: [], publicKey: 'six' },
    ],
    ...changes,
  }
}

const parse = (value: unknown): Keyring => parseKeyring(encodeJson(value))

function refuses(value: unknown, message = /^the keyring/): void {
  assert.throws(() => parse(value), coded('ERR_FORMAT', message))
}

test('a keyring is read as it was written', () => {
  assert.deepEqual(parse(sample()), sample())
})

test('each single field is spoiled in each way, and each time refused', () => {
  const whole = sample()
  for (const path of pathsOf(whole)) {
    const before = valueAt(whole, path)
    for (const value of [undefined, null, true, 'x', 7, [], {}]) {
      if (value === undefined && typeof path.at(-1) === 'number') continue
      if (jsonKind(value) !== jsonKind(before)) refuses(withValueAt(whole, path, value))
    }
    if (jsonKind(before) === 'object') refuses(withValueAt(whole, [...path, 'alien'], 1))
  }
  refuses({ ...whole, alien: 1 })
})

test('whatever JSON stands there instead, it is ERR_FORMAT and nothing else', async (t) => {
  await holds(
    t,
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => refuses(value)),
    200,
  )
})

test('a keyring without readers or signers, of version 0, or of unknown roles is refused', () => {
  const [host] = sample().signers
  refuses(sample({ recipients: [] }))
  refuses(sample({ signers: [] }))
  refuses(sample({ version: 0 }))
  refuses({ ...sample(), format: 2 })
  refuses({ ...sample(), signers: [{ ...host, role: 'root' }] })
  refuses({ ...sample(), signers: [{ ...host, sources: ['../shop'] }] })
  refuses({ ...sample(), signers: [{ ...host, sources: ['sho*'] }] })
  refuses({ ...sample(), signers: [{ ...host, fingerprint: print('a') }] })
  refuses({ ...sample(), signers: [{ ...host, fingerprint: 'A'.repeat(16) }] })
})

test('only hosts sign manifests, and only of their own sources', () => {
  const signersOf = (source: string): readonly string[] =>
    manifestSigners(sample(), source).map(({ publicKey }) => publicKey)
  assert.deepEqual(signersOf('koprogo'), ['one', 'two'])
  assert.deepEqual(signersOf('shop'), ['one', 'two'])
  assert.deepEqual(signersOf('other'), ['two'])
  assert.deepEqual(signersOf('*'), ['two'])
})

test('pins and recipients agree whatever their order, doubled pins included', () => {
  assert.deepEqual(pinDifferences([print('C'), print('A'), print('C')], sample()), [])
})

test('what is pinned and not there, and what is there and not pinned, is each named', () => {
  assert.deepEqual(pinDifferences([print('A'), print('E')], sample()), [
    `${print('E')} is pinned in the configuration but not in the keyring`,
    `${print('C')} is in the keyring but not pinned in the configuration`,
  ])
  assert.equal(pinDifferences([], sample()).length, 2)
})

test('the differences are exactly those of the two sets', async (t) => {
  const prints = fc.uniqueArray(fc.constantFrom(...'ABCDEF'.split('')), { minLength: 1 })
  const property = fc.property(prints, fc.array(fc.constantFrom(...'ABCDEF'.split(''))), (there, pinned) => {
    const recipients = there.map((one) => ({ fingerprint: print(one), subkey: print('0'), publicKey: '' }))
    const named = pinDifferences(pinned.map(print), sample({ recipients })).map((text) => text.slice(0, 40))
    const [inKeyring, inPins] = [new Set(there), new Set(pinned)]
    assert.deepEqual(named.toSorted(), [...inKeyring.symmetricDifference(inPins)].map(print).toSorted())
  })
  await holds(t, property, 200)
})
