/** The lock file installs everywhere: npm ci refuses one that lacks an optional package of some other platform. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

interface LockedPackage {
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const text = readFileSync(join(dirname(import.meta.dirname), 'package-lock.json'), 'utf8')
const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, LockedPackage>> }

test('every optional dependency has its entry in the lock file, whatever platform it was written on', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
    ),
  )
  assert.deepEqual(missing, [])
})

test('the lock file names no registry: packages come from wherever npm is set to get them', () => {
  assert.equal(Object.values(packages).filter(({ resolved }) => resolved !== undefined).length, 0)
})
