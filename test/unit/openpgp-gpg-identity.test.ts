/**
 * The session key as stock gpg says it: always the one that was wrapped, whatever noise stands where the body would.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { newSessionKey, unwrapSessionKey, wrapSessionKey } from '../../src/openpgp/envelope.ts'
import { readGpgIdentity, readRecipient } from '../../src/openpgp/keys.ts'
import { ed25519Parameters, GnupgHome } from './openpgp-gnupg.ts'

const home = new GnupgHome()
after(() => home.close())

test('sixty session keys in a row come out of gpg as they went in', async () => {
  const fingerprint = home.generateKey(ed25519Parameters)
  const recipient = await readRecipient(home.exportPublic(fingerprint), {
    now: new Date(),
    expired: 'refuse',
  })
  const environment = { PATH: process.env['PATH'] ?? '', GNUPGHOME: home.path }
  const identity = await readGpgIdentity({ environment, fingerprint, passphrase: undefined })
  for (let turn = 0; turn < 60; turn++) {
    const sessionKey = newSessionKey()
    const envelope = await wrapSessionKey(sessionKey, [recipient])
    assert.deepEqual(await unwrapSessionKey(envelope, identity), sessionKey)
  }
})
