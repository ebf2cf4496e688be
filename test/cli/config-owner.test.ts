/** Who may own the configuration: its `run:` is executed as whoever runs coffre. */
import assert from 'node:assert/strict'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConfigFile } from '../../src/cli/session.ts'

const ours = process.getuid?.() ?? assert.fail('this system has no user ids')

test('a configuration that belongs to somebody else is not read; our own and root’s are', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coffre-test-owner-'))
  try {
    const file = join(folder, 'coffre.yaml')
    writeFileSync(file, 'sources: {}', { mode: 0o600 })
    assert.deepEqual(await readConfigFile(file, ours), { text: 'sources: {}', readableByOthers: false })
    // Only root can give a file away; for everybody else the file stays and the reader is another.
    if (ours === 0) {
      assert.equal((await readConfigFile(file, 12345)).text, 'sources: {}')
      chownSync(file, 12345, 12345)
    }
    const reader = ours === 0 ? ours : ours + 1
    await assert.rejects(readConfigFile(file, reader), {
      code: 'ERR_CONFIG',
      message: `${file} belongs to somebody else, who could run commands as you`,
      hint: `look at it, then make it yours: chown ${reader} ${file}`,
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
