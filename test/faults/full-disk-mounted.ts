/**
 * Run by full-disk.test.ts in a mount namespace of its own, in a workshop's folder: its repository on a small file system
 * that fills up while backups are made. Prints what happened as JSON; judges nothing.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCoffre, type Outcome } from '../support/coffre.ts'
import { filesBelow } from '../support/repository-folder.ts'

const folder = process.argv[2] ?? ''
const repository = join(folder, 'repository')
const filler = join(repository, '.filler')

const coffre = (words: readonly string[]): Promise<Outcome> => runCoffre(words, { cwd: folder })
const mebibyte = 1024 * 1024

/** Takes all the room there is. */
function fill(): void {
  for (let size = mebibyte; size >= 1; size /= 16) {
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // Full for pieces of this size.
    }
  }
}

// Not remounted with another size: in a user namespace nobody may.
execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${64 * mebibyte},mode=700`, 'tmpfs', repository])
writeFileSync(filler, Buffer.alloc(61 * mebibyte))
cpSync(join(folder, 'founded'), repository, { recursive: true })
const files = (await filesBelow(repository)).filter((file) => file !== '.filler')
const tooSmall = await coffre(['backup', '--json'])
const afterTooSmall = await filesBelow(repository)
fill()
const full = await coffre(['backup', '--json'])
const listedWhenFull = await coffre(['list', '--json'])
const afterFull = await filesBelow(repository)
rmSync(filler)
const withRoom = await coffre(['backup', '--json'])
const verified = await coffre(['verify', '--all', '--json'])
console.log(
  JSON.stringify({ files, tooSmall, afterTooSmall, full, listedWhenFull, afterFull, withRoom, verified }),
)
