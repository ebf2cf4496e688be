/** What a client program writes reaches whoever reads it, however late: a short one may have ended long before. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { Secret } from '../../src/model/secret.ts'
import { collectOutput, startClient, type ClientProcess } from '../../src/postgres/client-tools.ts'
import { environment, testAccess } from '../support/session.ts'

const access = { ...testAccess('postgres'), password: new Secret('with a file of its own') }

async function exited({ pid }: ClientProcess): Promise<void> {
  assert.ok(pid !== undefined)
  while (existsSync(`/proc/${pid}`)) await setTimeout(5)
  // Whatever Node does about it is done in the turns after it heard of it.
  await setTimeout(50)
}

test('"pg_dump --version does not say a version": the output of a program that ended before it was read is there', async () => {
  const client = await startClient(access, 'pg_dump', ['--version'], { environment })
  client.stdin.end()
  await exited(client)
  const said = (await collectOutput(client, 1000)).toString()
  assert.match(said, /^pg_dump \(PostgreSQL\) \d+/)
})

test('a program that ended is known to have ended, though nobody has read what it wrote', async () => {
  const client = await startClient(access, 'pg_restore', ['--help'], { environment })
  client.stdin.end()
  await client.done
  assert.match((await collectOutput(client, 100_000)).toString(), /^pg_restore restores .*>\n$/s)
})

test('a program whose reader went away ends, and is known to have', async () => {
  const client = await startClient(access, 'psql', ['-c', 'SELECT 1', 'postgres'], {
    environment,
    wrap: ['yes'],
  })
  for await (const bytes of client.stdout) {
    assert.ok(bytes instanceof Buffer)
    break
  }
  client.kill()
  await assert.rejects(client.done, { code: 'ERR_PROGRAM' })
})
