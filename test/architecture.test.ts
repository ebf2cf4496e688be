/**
 * The rules of the house, as a test: who may import whom, which package is used where, how large a file may grow.
 * Imports run one way: main → cli → operations → pipeline, repository → postgres, openpgp, storage, observe → model → errors.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const home = dirname(import.meta.dirname)
const files = globSync('src/**/*.ts', { cwd: home }).toSorted()

/** Below itself, each room may import these; rooms on one level do not import each other. */
const below: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  model: ['errors'],
  config: ['errors', 'model'],
  observe: ['errors', 'model'],
  storage: ['errors', 'model'],
  openpgp: ['errors', 'model'],
  postgres: ['errors', 'model'],
  shares: ['errors', 'model'],
  repository: ['errors', 'model', 'openpgp', 'storage', 'observe'],
  pipeline: ['errors', 'model', 'openpgp', 'storage', 'postgres', 'observe'],
  operations: [
    'errors',
    'model',
    'openpgp',
    'shares',
    'storage',
    'postgres',
    'observe',
    'repository',
    'pipeline',
  ],
  cli: [
    'errors',
    'model',
    'config',
    'openpgp',
    'shares',
    'storage',
    'postgres',
    'observe',
    'repository',
    'pipeline',
    'operations',
  ],
}

/** Packages, and the only places that may know them. */
const packages: Readonly<Record<string, RegExp>> = {
  zod: /^src\/(model|config|postgres|repository|cli)\b/,
  yaml: /^src\/(config\b|cli\/commands\/)/,
  openpgp: /^src\/openpgp\//,
  'shamir-secret-sharing': /^src\/shares\//,
  '@aws-sdk/client-s3': /^src\/storage\/s3-/,
  commander: /^src\/(cli\/program|main)\.ts$/,
}

/** Concrete stores are named by main alone; below it there is only the port. */
const ports: Readonly<Record<string, readonly string[]>> = {
  storage: ['object-store'],
}

function room(file: string): string {
  const [, folder = ''] = /^src\/([a-z]+)/.exec(file) ?? []
  return folder
}

function imports(file: string): readonly string[] {
  const text = readFileSync(join(home, file), 'utf8')
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'/g,
  )
  return [...found].map(([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? '')
}

test('there is something to look at', () => {
  assert.ok(files.length > 40, `${files.length} files under src`)
  assert.ok(files.flatMap(imports).length > 200)
})

for (const file of files) {
  test(`${file} imports only from the layers below it, and only its own packages`, () => {
    for (const name of imports(file)) {
      if (name.startsWith('.')) assertLayer(file, normalize(join(dirname(file), name)))
      else if (!name.startsWith('node:')) {
        assert.ok(
          packages[name]?.test(file),
          `${file} imports ${name}: not its room (see test/architecture.test.ts)`,
        )
      }
    }
  })

  test(`${file} is at most 350 lines, and opens by saying what it is`, () => {
    const text = readFileSync(join(home, file), 'utf8')
    assert.ok(text.split('\n').length <= 350, `${file} has grown too large`)
    assert.match(text, /^\/\*\*\s/, `${file} does not begin with a comment`)
  })
}

function assertLayer(file: string, target: string): void {
  if (room(file) === 'main') return
  const [from, to] = [room(file), room(target)]
  if (from === to) return
  assert.ok(below[from]?.includes(to), `${file} (${from}) must not import ${target} (${to})`)
  const named = target.replace(/^src\/[a-z]+\//, '').replace(/\.ts$/, '')
  const port = ports[to]
  assert.ok(
    port === undefined || port.includes(named),
    `${file} names a concrete store, ${target}: only main.ts does`,
  )
}

test('the pure layer has no clock, no randomness and no input or output', () => {
  for (const file of files.filter((name) => name.startsWith('src/model/'))) {
    const text = readFileSync(join(home, file), 'utf8')
    assert.doesNotMatch(text, /\bDate\.now\(|new Date\(\)|Math\.random|from 'node:/, `${file} is not pure`)
  }
})
