/**
 * The directory store where the file system is against it: full, read-only, not its own, missing, laid with links;
 * and a writer that is killed. What every store must do is in test/contract.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DirectoryStore } from '../../src/storage/directory.ts'
import { bytesOf, chunked, coded, collect, keysOf, mebibyte } from '../contract/contract-materials.ts'

const nobody = 65_534

let base: string
let root: string
let outside: string
let store: DirectoryStore

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'coffre-directory-'))
  root = join(base, 'root')
  outside = join(base, 'outside')
  await mkdir(root)
  await mkdir(outside)
  store = new DirectoryStore({ root })
})
afterEach(() => rm(base, { recursive: true, force: true }))

const put = (key: string, bytes: Buffer = Buffer.from('x')): Promise<unknown> =>
  store.put(key, chunked(bytes))
const modeOf = async (path: string): Promise<number> => (await lstat(join(root, path))).mode & 0o7777

/** Runs as an ordinary user: for root every folder is writable. */
async function asOrdinaryUser(work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work()
  await chmod(base, 0o755)
  for (const path of [root, ...(await readdir(root)).map((name) => join(root, name))]) {
    await chown(path, nobody, nobody)
  }
  process.setegid?.(nobody)
  process.seteuid?.(nobody)
  try {
    await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}

describe('rights', () => {
  it('makes folders 0700 and files 0600, whatever the umask', async () => {
    for (const umask of [0o000, 0o022, 0o077]) {
      const before = process.umask(umask)
      try {
        await put(`u${umask}/deep/file`)
        await store.create(`u${umask}/created`, Buffer.from('x'))
      } finally {
        process.umask(before)
      }
      for (const folder of [`u${umask}`, `u${umask}/deep`, '.partial'])
        assert.equal(await modeOf(folder), 0o700)
      for (const file of [`u${umask}/deep/file`, `u${umask}/created`]) assert.equal(await modeOf(file), 0o600)
    }
  })

  it('is denied in a folder that it may not write, and still reads', async () => {
    await put('backups/old', Buffer.from('old'))
    await chmod(join(root, 'backups'), 0o755)
    await chmod(join(root, 'backups/old'), 0o644)
    await chmod(root, 0o555)
    await asOrdinaryUser(async () => {
      const denied = coded('ERR_STORE_DENIED')
      const other = new DirectoryStore({ root })
      await assert.rejects(other.put('new/x', chunked(Buffer.from('x'))), denied)
      await assert.rejects(other.create('new.json', Buffer.from('x')), denied)
      assert.equal((await collect(other.get('backups/old'))).toString(), 'old')
    })
    await chmod(root, 0o755)
    assert.deepEqual(await keysOf(store), ['backups/old'])
    assert.deepEqual(await readdir(join(root, '.partial')), [])
  })

  it('is denied a file and a folder that it may not read', async () => {
    await put('backups/secret/x')
    await chmod(join(root, 'backups'), 0o000)
    if (process.geteuid?.() === 0) await chown(join(root, 'backups'), 0, 0)
    await asOrdinaryUser(async () => {
      const denied = coded('ERR_STORE_DENIED')
      await assert.rejects(collect(store.get('backups/secret/x')), denied)
      await assert.rejects(store.head('backups/secret/x'), denied)
      await assert.rejects(keysOf(store, 'backups/'), denied)
      await assert.rejects(keysOf(store), denied)
    })
    await chmod(join(root, 'backups'), 0o700)
  })
})

describe('the disk', () => {
  it('leaves nothing behind when it is full, and says so; the same when it is read-only', () => {
    // A mount namespace of its own, and with it a user namespace, in which anybody may mount.
    const script = 'mount -t tmpfs -o size=2m,mode=700 tmpfs "$1" && exec "$2" "$3" "$1"'
    const child = fileURLToPath(new URL('storage-directory-mounted.ts', import.meta.url))
    const command = ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', root, process.execPath, child]
    const output = execFileSync('unshare', command, { encoding: 'utf8' })
    assert.deepEqual(JSON.parse(output), {
      fits: 'done',
      tooLarge: 'ERR_STORE_FULL',
      listedWhenFull: [`a/fits ${mebibyte}`],
      partialWhenFull: [],
      afterwards: 'done',
      readOnly: ['ERR_STORE_DENIED', 'ERR_STORE_DENIED', 'ERR_STORE_DENIED'],
      readBytes: mebibyte,
    })
  })

  it('is not there: every call fails, and nothing is made in its place', async () => {
    await rm(root, { recursive: true })
    const missing = coded('ERR_STORE', /does not exist/)
    await assert.rejects(put('a'), missing)
    await assert.rejects(store.create('a', Buffer.from('x')), missing)
    await assert.rejects(collect(store.get('a')), missing)
    await assert.rejects(store.head('a'), missing)
    await assert.rejects(keysOf(store), missing)
    await assert.rejects(store.delete('a'), missing)
    await assert.rejects(lstat(root), { code: 'ENOENT' })
  })

  it('loses bytes of a file while it is read', async () => {
    await put('shrinks', bytesOf(3 * mebibyte))
    const reading = store.get('shrinks')[Symbol.asyncIterator]()
    await reading.next()
    await truncate(join(root, 'shrinks'), 0)
    await assert.rejects(reading.next(), coded('ERR_STORE', /ends early/))
  })

  it('must be named by an absolute path', () => {
    assert.throws(() => new DirectoryStore({ root: 'backups' }), coded('ERR_CONFIG'))
  })
})

describe('symbolic links and other strangers', () => {
  it('may lead to the root', async () => {
    await symlink(root, join(base, 'link'))
    const linked = new DirectoryStore({ root: join(base, 'link') })
    await linked.create('a/b', Buffer.from('x'))
    assert.deepEqual(await keysOf(linked), ['a/b'])
    assert.equal((await readFile(join(root, 'a/b'))).toString(), 'x')
  })

  it('are refused as objects', async () => {
    await writeFile(join(outside, 'secret'), 'secret')
    await mkdir(join(root, 'a'))
    await symlink(join(outside, 'secret'), join(root, 'a/link'))
    await symlink(join(outside, 'none'), join(root, 'a/dangling'))
    for (const key of ['a/link', 'a/dangling']) {
      const refused = coded('ERR_STORE', /not a regular file/)
      await assert.rejects(collect(store.get(key)), refused)
      await assert.rejects(store.head(key), refused)
      await assert.rejects(store.delete(key), refused)
      await assert.rejects(put(key), coded('ERR_EXISTS'))
      await assert.rejects(store.create(key, Buffer.from('x')), coded('ERR_EXISTS'))
    }
    assert.deepEqual(await keysOf(store), [])
    assert.deepEqual(await readdir(outside), ['secret'])
  })

  it('are refused as folders, wherever they lead', async () => {
    await mkdir(join(root, 'real'))
    await mkdir(join(outside, 'deep'))
    await writeFile(join(outside, 'deep/x'), 'secret')
    await symlink(outside, join(root, 'away'))
    await symlink('real', join(root, 'inside'))
    for (const key of ['away/deep/x', 'away/x', 'inside/x']) {
      const refused = coded('ERR_STORE', /symbolic link/)
      await assert.rejects(put(key), refused)
      await assert.rejects(store.create(key, Buffer.from('x')), refused)
    }
    for (const call of [() => collect(store.get('away/deep/x')), () => store.head('away/deep/x')]) {
      await assert.rejects(call(), coded('ERR_STORE', /symbolic link/))
    }
    await assert.rejects(store.delete('away/deep/x'), coded('ERR_STORE', /symbolic link/))
    await assert.rejects(keysOf(store, 'away/'), coded('ERR_STORE', /symbolic link/))
    assert.deepEqual(await keysOf(store), [])
    assert.deepEqual(await readdir(join(outside, 'deep')), ['x'])
    assert.deepEqual(await readdir(outside), ['deep'])
  })

  it('are refused as the folder of partial files', async () => {
    await symlink(outside, join(root, '.partial'))
    await assert.rejects(put('a'), coded('ERR_STORE', /symbolic link/))
    assert.deepEqual(await readdir(outside), [])
  })

  it('are passed over in lists, like every name that is no key', async () => {
    await put('a/kept')
    for (const name of ['.hidden', 'with space', 'ünïcode', 'lost+found', '-dash']) {
      await writeFile(join(root, 'a', name), 'x')
      await mkdir(join(root, name), { recursive: true })
      await writeFile(join(root, name, 'x'), 'x')
    }
    execFileSync('mkfifo', [join(root, 'a/pipe')])
    assert.deepEqual(await keysOf(store), ['a/kept'])
  })

  it('do not hold up a read: a named pipe is refused at once', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')])
    await assert.rejects(collect(store.get('pipe')), coded('ERR_STORE', /not a regular file/))
  })
})

describe('writers', () => {
  it('leave nothing visible when they are killed, and the next ones clear up after a day', async () => {
    const program = `
      import { DirectoryStore } from ${JSON.stringify(new URL('../../src/storage/directory.ts', import.meta.url).href)}
      async function* source() {
        yield Buffer.alloc(1000000)
        console.log('half way')
        await new Promise((resolve) => setTimeout(resolve, 60000))
      }
      await new DirectoryStore({ root: ${JSON.stringify(root)} }).put('killed/x', source())`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.deepEqual(await keysOf(store), [])
    const [partial] = await readdir(join(root, '.partial'))
    assert.ok(partial, 'the killed writer had begun')

    await new DirectoryStore({ root }).put('next', chunked(Buffer.from('x')))
    assert.deepEqual(await readdir(join(root, '.partial')), [partial], 'it may still be at work')
    const longAgo = new Date(Date.now() - 25 * 3_600_000)
    await utimes(join(root, '.partial', partial), longAgo, longAgo)
    await new DirectoryStore({ root }).put('later', chunked(Buffer.from('x')))
    assert.deepEqual(await readdir(join(root, '.partial')), [])
  })

  it('do not get into the way of a delete that empties their folder', async () => {
    const rounds = Array.from({ length: 60 }, (_, round) => round)
    await Promise.all(
      rounds.map(async (round) => {
        await store.create(`a/b/c/${round}`, Buffer.from('x'))
        await store.delete(`a/b/c/${round}`)
      }),
    )
    assert.deepEqual(await readdir(root), ['.partial'])
  })
})
