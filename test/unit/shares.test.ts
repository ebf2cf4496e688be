/**
 * Shares: any m of n give the secret, and everything else is told by name before any key is tried; by coffre, and by the
 * lines of Python that docs/keys.md prints.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CoffreError } from '../../src/errors.ts'
import { linesOf, readShares, scannedText, type Share } from '../../src/shares/share-text.ts'
import { combineShares, newSecret, passphraseOf, splitSecret } from '../../src/shares/sharing.ts'
import { holds } from '../support/property.ts'
import { combineByPython, splitVectors } from '../support/shares.ts'

const passphraseFrom = async (text: string): Promise<string> =>
  passphraseOf(await combineShares(readShares(text))).toString()

const textOf = (shares: readonly Share[]): string =>
  shares.map((share) => linesOf(share).join('\n')).join('\n')

/** Both refuse it, coffre with these words, and neither gives a passphrase. */
async function refused(text: string, coffre: RegExp, python: RegExp): Promise<void> {
  await assert.rejects(passphraseFrom(text), (error) => {
    assert.ok(error instanceof CoffreError)
    assert.equal(error.code, 'ERR_SHARE')
    assert.match(`${error.message}; ${error.hint}`, coffre)
    return true
  })
  const { passphrase, fault } = combineByPython(text)
  assert.equal(passphrase, '')
  assert.match(fault, python)
}

test('what was split by any released version gives the same passphrase, typed, scanned and by Python', async () => {
  assert.ok(splitVectors.length >= 4)
  for (const { threshold, passphrase, shares } of splitVectors) {
    for (const some of [shares.slice(0, threshold), shares.slice(-threshold).toReversed(), shares]) {
      const typed = some.map(({ lines }) => lines.join('\n')).join('\n')
      assert.equal(await passphraseFrom(typed), passphrase)
      assert.equal(await passphraseFrom(some.map(({ scanned }) => scanned).join('\n')), passphrase)
      assert.equal(combineByPython(typed).passphrase, passphrase)
    }
  }
})

test('a share written in both forms, as its file has it, counts once; given again it is told', async () => {
  const [vector] = splitVectors
  assert.ok(vector)
  const files = vector.shares.map(({ lines, scanned }) => [...lines, '', scanned, ''].join('\n'))
  assert.equal(readShares(files.join('')).length, 3)
  assert.equal(await passphraseFrom(files.join('')), vector.passphrase)
  assert.equal(combineByPython(files.join('')).passphrase, vector.passphrase)
  await refused(`${files[0]}${files[0]}`, /was given twice/, /was given twice/)
  const [one, two] = vector.shares
  await assert.rejects(passphraseFrom(`${one?.scanned}\n${one?.scanned}`), /given twice/)
  assert.equal(await passphraseFrom(`${one?.lines.join('\n')}\n${two?.scanned}`), vector.passphrase)
})

test('any m of n shares, in any order, give the secret back', async (t) => {
  const numbers = fc.integer({ min: 2, max: 6 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      threshold: fc.integer({ min: 2, max: count }),
      order: fc.shuffledSubarray(
        Array.from({ length: count }, (_, at) => at),
        { minLength: count },
      ),
      scanned: fc.boolean(),
    }),
  )
  const property = fc.asyncProperty(numbers, async ({ count, threshold, order, scanned }) => {
    const secret = newSecret()
    const shares = await splitSecret(secret, threshold, count)
    const some = order.slice(0, threshold).flatMap((at) => shares[at] ?? [])
    const text = scanned ? some.map(scannedText).join('\n') : textOf(some)
    assert.equal(await passphraseFrom(text), secret.toString('hex'))
  })
  await holds(t, property, 100)
})

test('one wrong letter anywhere in a share is told by its line', async () => {
  const secret = newSecret()
  const shares = await splitSecret(secret, 2, 3)
  const [one, two] = shares.map(linesOf)
  assert.ok(one && two)
  let tried = 0
  for (const [at, line] of two.entries()) {
    for (let place = 5; place < line.length; place++) {
      if (line[place] === ' ') continue
      const wrong = line[place] === 'Q' ? 'R' : 'Q'
      const damaged = two.with(at, line.slice(0, place) + wrong + line.slice(place + 1))
      const text = [...one, ...damaged].join('\n')
      await assert.rejects(passphraseFrom(text), (error) => {
        assert.ok(error instanceof CoffreError)
        return error.message === `line ${at + 1} of share number 2 of those given is mistyped`
      })
      tried++
    }
  }
  assert.equal(tried, 96)
  const mistyped = [...one, ...two.with(4, '5/8  AAAA AAAA AAAA')].join('\n')
  await refused(mistyped, /line 5 of share number 2 .* mistyped/, /^line 5 of share number 2 is mistyped$/)
})

test('lines left out, swapped or of another share are told', async () => {
  const shares = await splitSecret(newSecret(), 2, 3)
  const [one, two] = shares.map(linesOf)
  assert.ok(one && two)
  const gap = [...one, ...two.toSpliced(2, 1)].join('\n')
  await refused(gap, /line 3 of share number 2 .* is missing/, /^line 3 of share number 2 is missing$/)
  const short = [...one, ...two.slice(0, 7)].join('\n')
  await refused(short, /line 8 of share number 2 .* is missing/, /^line 8 of share number 2 is missing$/)
  const blend = [...one, ...two.with(7, one[7] ?? '')].join('\n')
  await refused(blend, /share number 2 .* is mistyped, or its lines are those of several/, /is mistyped$/)
  await refused('', /no share was given/, /line 1 of share number 1 is missing/)
})

test('small and capital letters, missing blanks, and 0, 1, 8 for O, I, B do no harm', async () => {
  const [vector] = splitVectors
  assert.ok(vector)
  const text = vector.shares
    .slice(0, 2)
    .map(({ lines }) =>
      lines
        .map(
          (line) =>
            `${line.slice(0, 5)}${line.slice(5).replaceAll('O', '0').replaceAll('I', '1').replaceAll('B', '8').toLowerCase()}`,
        )
        .join('\n'),
    )
    .join('\n')
  assert.equal(await passphraseFrom(text), vector.passphrase)
  assert.equal(combineByPython(text).passphrase, vector.passphrase)
})

test('shares of two sets, one share twice, and too few are each told by name', async () => {
  const secret = newSecret()
  const [a, b, c] = await splitSecret(secret, 3, 5)
  // The same secret, split again: sets go apart also then.
  const [other] = await splitSecret(secret, 3, 5)
  assert.ok(a && b && c && other)
  await refused(
    textOf([a, b, other]),
    new RegExp(`share 1 is of set ${other.set}, share 1 of set ${a.set}: they do not go together`),
    /^these shares are not of one set$/,
  )
  await refused(textOf([a, b, b]), /share 2 of set \w+ was given twice/, /^a share was given twice$/)
  await refused(
    textOf([a, c]),
    /3 of the 5 shares of set \w+ are needed, given: shares 1, 3; add any 1 of the shares 2, 4, 5/,
    /^3 shares are needed$/,
  )
})

test('a false share, well typed, gives no wrong secret; with one holder more it is named', async () => {
  const [one, two, three] = await splitSecret(newSecret(), 2, 3)
  assert.ok(one && two && three)
  const point = Buffer.from(two.point)
  point[0] = (point[0] ?? 0) ^ 1
  const bent = { ...two, point }
  const sameX = { ...two, point: Buffer.concat([two.point.subarray(0, -1), one.point.subarray(-1)]) }
  await refused(textOf([one, bent]), /shares 1, 2 of set \w+ do not give the secret/, /one of them is false$/)
  await assert.rejects(combineShares([one, sameX]), /do not give the secret/)
  await assert.rejects(combineShares([one, bent, three]), /share 2 of set \w+ is false; the others are right/)
  await assert.rejects(combineShares([bent, three, one]), /share 2 of set \w+ is false; the others are right/)
  await assert.rejects(combineShares([one, { ...two, threshold: 3 }]), /contradict each other/)
})

test('a secret is never split so that one share opens it, nor into more than sixteen', async () => {
  await assert.rejects(splitSecret(newSecret(), 1, 3), /cannot be split so that 1 of 3/)
  await assert.rejects(splitSecret(newSecret(), 4, 3), /cannot be split/)
  await assert.rejects(splitSecret(newSecret(), 2, 17), /cannot be split/)
})
