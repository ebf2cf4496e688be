/** What `keys list` says of the keys of a real repository, and the status it ends with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKey } from '../../src/openpgp/keys.ts'
import type { ListKeysResult } from '../../src/operations/list-keys.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { makeDatabase } from '../support/postgres.ts'

test('each key is listed with its expiry and the backups it opens; one that expires soon ends with 3', async () => {
  await using database = await makeDatabase('keys')
  await database.sql('CREATE TABLE kept AS SELECT 1 AS n')
  const common = { email: 'bob@example.org', kind: 'ed25519', use: 'encrypt', passphrase: undefined } as const
  const brief = await generateKey({ ...common, name: 'bob', validDays: 20, now: new Date() })
  const sources = { keys: { url: database.url } }
  await using workshop = await makeWorkshop({ sources, readers: ['alice', { name: 'bob', ...brief }] })
  const first = (await workshop.json(['backup']))['id']
  const second = (await workshop.json(['backup']))['id']
  const listed = (await workshop.json(['keys', 'list'], { status: 3 })) as unknown as ListKeysResult
  assert.equal(listed.keyring, 1)
  const [alice, bob] = listed.keys
  assert.ok(alice && bob)
  assert.equal(alice.warning, null)
  assert.match(bob.warning ?? '', /^expires on \d{4}-\d\d-\d\d, within 30 days$/)
  assert.deepEqual(bob.opens, [first, second])
  assert.deepEqual([alice.inForce, alice.userId], [true, 'alice <alice@example.org>'])
  const { stdout } = await workshop.coffre(['keys', 'list'], { status: 3 })
  for (const { fingerprint } of workshop.readers) assert.match(stdout, new RegExp(fingerprint))

  await using calm = await makeWorkshop({ sources })
  const [only] = ((await calm.json(['keys', 'list'])) as unknown as ListKeysResult).keys
  assert.deepEqual(only?.opens, [])
})
