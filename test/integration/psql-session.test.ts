/** One psql kept open as a session: the contract of all sessions, and what only psql can do wrong. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { PsqlSession } from '../../src/postgres/psql-session.ts'
import { chunked, coded } from '../contract/contract-materials.ts'
import { endless, failing, sessionContract } from '../contract/session.contract.ts'
import { copied, openSession, testAccess, withSession } from '../support/session.ts'

sessionContract('psql', openSession)

const inSession = <T>(work: (own: PsqlSession) => Promise<T>): Promise<T> =>
  withSession(testAccess('postgres'), work)

test('rows are followed by a statement at once: psql of August 2026 took an empty one for a refused COPY, and skipped the rest for ever', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coffre-test-sent-'))
  after(() => rm(folder, { recursive: true }))
  const log = join(folder, 'sent')
  const listening = { ...testAccess('postgres'), prefix: ['sh', '-c', `tee '${log}' | "$@"`, 'sh'] }
  await withSession(listening, async (own) => {
    await own.execute('CREATE TEMP TABLE few (a int)')
    await own.copyFrom('COPY few FROM STDIN', chunked(Buffer.from('1\n')))
    await own.close()
  })
  assert.match(await readFile(log, 'utf8'), /\nCOPY few FROM STDIN;\n1\n\\\.\nSELECT /)
})

test('rows that end just like the end marker begins are not held back', async () => {
  await inSession(async (own) => {
    for (const tail of ['\\', '\\.', '\\\\.', `\\.${'0'.repeat(24)}`, `\\.${'0'.repeat(24)}-1`]) {
      const sent = await copied(own, `SELECT E'x\\n${tail.replaceAll('\\', '\\\\')}'`)
      assert.equal(sent.toString(), `x\n${tail}\n`)
    }
  })
})

test('psql itself was killed: an error, and one again for whoever goes on', async () => {
  await inSession(async (own) => {
    const { error } = await failing(own, endless, async () => {
      process.kill(own.pid ?? 0, 'SIGKILL')
    })
    assert.ok(coded('ERR_PROGRAM', /SIGKILL/)(error))
  })
  await inSession(async (own) => {
    process.kill(own.pid ?? 0, 'SIGKILL')
    await assert.rejects(own.execute('SELECT 1'), coded('ERR_PROGRAM', /SIGKILL/))
  })
})

test('closing says how psql ended', async () => {
  const own = await openSession(testAccess('postgres'))
  await own.execute('SELECT 1')
  await own.close()
  const killed = await openSession(testAccess('postgres'))
  process.kill(killed.pid ?? 0, 'SIGTERM')
  await assert.rejects(killed.close(), coded('ERR_PROGRAM', /SIGTERM/))
})
