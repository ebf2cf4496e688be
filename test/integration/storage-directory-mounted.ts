/**
 * Run by storage-directory.test.ts in a mount namespace of its own, on a file system of 2 MiB: what a store does when
 * the disk fills up, and when it is mounted read-only. Prints what happened as JSON; judges nothing.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { CoffreError } from '../../src/errors.ts'
import { DirectoryStore } from '../../src/storage/directory.ts'

const root = process.argv[2] ?? ''
const store = new DirectoryStore({ root })

async function* mebibytes(count: number): AsyncGenerator<Buffer> {
  for (let turn = 0; turn < count * 16; turn += 1) yield Buffer.alloc(65_536, turn)
}

async function outcome(action: () => Promise<unknown>): Promise<string> {
  try {
    await action()
    return 'done'
  } catch (error) {
    return error instanceof CoffreError ? error.code : String(error)
  }
}

async function listed(): Promise<string[]> {
  const keys: string[] = []
  for await (const object of store.list('')) keys.push(`${object.key} ${object.sizeBytes}`)
  return keys
}

async function readAll(key: string): Promise<number> {
  let sizeBytes = 0
  for await (const chunk of store.get(key)) sizeBytes += chunk.length
  return sizeBytes
}

const fits = await outcome(() => store.put('a/fits', mebibytes(1)))
const tooLarge = await outcome(() => store.put('a/too-large', mebibytes(3)))
const listedWhenFull = await listed()
const partialWhenFull = readdirSync(join(root, '.partial'))
const afterwards = await outcome(() => store.put('a/afterwards', mebibytes(0.5)))
execFileSync('mount', ['-o', 'remount,bind,ro', root])
const readOnly = [
  await outcome(() => store.put('a/more', mebibytes(0))),
  await outcome(() => store.create('b/c', Buffer.from('x'))),
  await outcome(() => store.delete('a/fits')),
]
const readBytes = await readAll('a/fits')
console.log(
  JSON.stringify({ fits, tooLarge, listedWhenFull, partialWhenFull, afterwards, readOnly, readBytes }),
)
