/** What people meet first: help that fits and shows how, errors that say what to type, and a stdout that holds results only. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CommanderError, type Command } from 'commander'
import { buildProgram } from '../../src/cli/program.ts'
import type { CliHost } from '../../src/cli/session.ts'
import { home, runCoffre } from '../support/coffre.ts'

const columns = 80

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'coffre-help-'))
})
after(() => rmSync(folder, { recursive: true }))

/** A program whose results are kept; help touches nothing else. */
function makeProgram(results: string[]): Command {
  const unused = (): never => assert.fail('help needs nothing')
  const host: CliHost = {
    terminal: {
      result: (text) => void results.push(text),
      say: unused,
      sayOver: undefined,
      ask: undefined,
      columns,
    },
    context: {
      now: () => new Date(),
      signal: new AbortController().signal,
      environment: {},
      holder: { name: 'help', process: undefined, isGone: unused },
      version: '0.0.0',
      cores: 1,
    },
    environment: {},
    folder,
    uid: undefined,
    home,
    openStore: unused,
    createBucket: unused,
    readInput: unused,
    setExitStatus: unused,
    standBack: unused,
  }
  return buildProgram(host, '0.0.0')
}

async function helpOf(words: readonly string[]): Promise<string> {
  const results: string[] = []
  await assert.rejects(
    makeProgram(results).parseAsync(['node', 'coffre', ...words, '--help']),
    (error) => error instanceof CommanderError && error.exitCode === 0,
  )
  return results.join('\n')
}

/** Every command as one types it. */
function commandsOf(
  command: Command,
  words: readonly string[] = [],
): readonly (readonly [string[], Command])[] {
  return command.commands.flatMap((one) => {
    const path = [...words, one.name()]
    return [[path, one] as const, ...commandsOf(one, path)]
  })
}

const program = makeProgram([])
const commands = commandsOf(program)

function assertFits(help: string): void {
  for (const line of help.split('\n')) assert.ok(line.length <= columns, `${line.length} columns: ${line}`)
}

test('the help of coffre names every command and every exit status, and fits', async () => {
  const help = await helpOf([])
  assertFits(help)
  for (const [[name]] of commands) assert.match(help, new RegExp(`^  ${name}\\b`, 'm'))
  for (const status of [0, 1, 2, 3, 5, 6, 7, 8, 11, 130]) assert.match(help, new RegExp(`\\b${status} [a-z]`))
})

for (const [words, command] of commands) {
  test(`the help of ${words.join(' ')} says what it does, has examples that exist, and fits`, async () => {
    const help = await helpOf(words)
    assertFits(help)
    assert.ok(help.startsWith(`Usage: coffre ${words.join(' ')}`))
    assert.match(command.description(), /^[a-z][^.]*$/)
    const [, examples = ''] = /\nExamples:\n((?: {2}.+\n)+)/.exec(help) ?? []
    assert.ok(examples.split('\n').length > 1, 'no examples')
    const known = new Set(
      [...command.options, ...command.commands.flatMap(({ options }) => options), ...program.options].map(
        ({ long }) => long,
      ),
    )
    for (const example of examples
      .replaceAll('\\\n', '')
      .split('\n')
      .filter((line) => line !== '')) {
      assert.match(example, new RegExp(`^  coffre ${words.join(' ')}\\b`))
      for (const [option] of example.matchAll(/--[a-z-]+/g))
        assert.ok(known.has(option), `${option} in ${example}`)
    }
    for (const { long, description } of command.options) {
      assert.ok(description.length > 5, `${long ?? ''} is not explained`)
      assert.doesNotMatch(description, /\.$/, long ?? '')
    }
  })
}

test('help, version and schema are results: on stdout, and nothing on stderr', async () => {
  for (const args of [
    ['--help'],
    ['backup', '--help'],
    ['help', 'restore'],
    ['--version'],
    ['config', 'schema'],
  ]) {
    const { status, stdout, stderr } = await runCoffre(args, { cwd: folder })
    assert.deepEqual([status, stderr], [0, ''], args.join(' '))
    assert.ok(stdout.length > 5 && stdout.endsWith('\n'))
  }
})

const mistakes: readonly (readonly [args: readonly string[], said: RegExp])[] = [
  [[], /a command is missing/],
  [['config'], /a command is missing/],
  [['bakcup'], /unknown command 'bakcup'.*backup/],
  [['list', '--jsn'], /unknown option '--jsn'.*--json/],
  [['show'], /missing required argument 'id'/],
  [['restore', 'latest', '--jobs', '0'], /must be a whole number from 1 to 256/],
  [['list', '--config', 'nowhere.yaml'], /cannot read the configuration .*nowhere\.yaml/],
]

for (const [args, said] of mistakes) {
  test(`coffre ${args.join(' ')}: an error and a hint on stderr, status 2, nothing on stdout`, async () => {
    const { status, stdout, stderr } = await runCoffre(args, { cwd: folder })
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /^coffre: error: .+\ncoffre: hint: .+\n$/)
    assert.match(stderr, said)
  })
}

test('with --json an error is one document on stderr, with all its fields', async () => {
  for (const args of [
    ['--json', 'bakcup'],
    ['list', '--json', '--config', 'nowhere.yaml'],
  ]) {
    const { status, stdout, stderr } = await runCoffre(args, { cwd: folder })
    assert.deepEqual([status, stdout], [2, ''])
    const { error } = JSON.parse(stderr) as { error: Record<string, unknown> }
    assert.deepEqual(Object.keys(error), ['code', 'message', 'hint', 'exitStatus'])
    assert.equal(error['exitStatus'], 2)
  }
})

test('a reader that goes away does not bring coffre down', async () => {
  const child = spawn(join(home, 'bin/coffre'), ['config', 'schema'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  assert.deepEqual([status, stderr], [0, ''])
})
