/** Envelopes: who can open what was wrapped, with gpg and here. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encryptSessionKey, readKey } from 'openpgp'
import {
  newSessionKey,
  readDetachedEnvelope,
  readEnvelope,
  unwrapSessionKey,
  wrapSessionKey,
} from '../../src/openpgp/envelope.ts'
import { readIdentity, readRecipient } from '../../src/openpgp/keys.ts'
import type { Identity, Recipient } from '../../src/openpgp/keys.ts'
import { GnupgHome } from './openpgp-gnupg.ts'
import { makeKey, open, seal } from './openpgp-sealing.ts'

interface Holder {
  readonly home: GnupgHome
  readonly recipient: Recipient
  readonly identity: Identity
}

/** Ana's key is Cv25519 and made here, Bruno's is RSA 4096 and made by gpg; each has a GnuPG home of their own. */
let ana: Holder
let bruno: Holder

const brunoParameters = [
  '%no-protection',
  'Key-Type: RSA',
  'Key-Length: 3072',
  'Key-Usage: sign',
  'Subkey-Type: RSA',
  'Subkey-Length: 4096',
  'Subkey-Usage: encrypt',
  'Name-Real: Bruno',
]

before(async () => {
  const key = await makeKey()
  const [first, second] = [new GnupgHome(), new GnupgHome()]
  first.importKey(key.secretKey)
  const fingerprint = second.generateKey(brunoParameters)
  ana = await holder(first, Buffer.from(key.publicKey), Buffer.from(key.secretKey))
  bruno = await holder(second, second.exportPublic(fingerprint), second.exportSecret(fingerprint))
})

after(() => {
  ana.home.close()
  bruno.home.close()
})

async function holder(home: GnupgHome, publicKey: Buffer, secretKey: Buffer): Promise<Holder> {
  const recipient = await readRecipient(publicKey, { now: new Date(), expired: 'refuse' })
  return { home, recipient, identity: await readIdentity(secretKey, undefined) }
}

/** What gpg encrypts to these holders, by the option that names a recipient's key file. */
function gpgEncrypt(plaintext: Buffer, option: string, holders: readonly Holder[]): Buffer {
  const recipients = holders.flatMap(({ home, recipient }) => {
    const file = join(home.path, 'recipient.asc')
    writeFileSync(file, recipient.publicKey)
    return [option, file]
  })
  const options = ['--trust-model', 'always', '--compress-algo', 'none', ...recipients]
  return ana.home.succeed([...options, '--encrypt'], plaintext)
}

test('each of two recipients opens alone, with gpg and here', async () => {
  const plaintext = randomBytes(10_000)
  const sessionKey = newSessionKey()
  const envelope = await wrapSessionKey(sessionKey, [ana.recipient, bruno.recipient])
  const artifact = Buffer.concat([envelope, seal(plaintext, sessionKey)])
  assert.deepEqual(readEnvelope(artifact), {
    bytes: envelope.length,
    keyIds: [ana.recipient.keyId, bruno.recipient.keyId],
  })
  for (const { home, identity } of [ana, bruno]) {
    assert.ok(home.succeed(['--decrypt'], artifact).equals(plaintext))
    assert.ok((await unwrapSessionKey(envelope, identity)).equals(sessionKey))
  }
})

test('what gpg encrypts to both is read and opened here', async () => {
  const plaintext = randomBytes(10_000)
  const artifact = gpgEncrypt(plaintext, '--recipient-file', [bruno, ana])
  const { bytes, keyIds } = readEnvelope(artifact)
  assert.deepEqual(keyIds, [bruno.recipient.keyId, ana.recipient.keyId])
  for (const { identity } of [ana, bruno]) {
    const sessionKey = await unwrapSessionKey(artifact.subarray(0, bytes), identity)
    assert.ok(open(artifact.subarray(bytes), sessionKey).equals(plaintext))
  }
})

test('anonymous recipients, as gpg -R writes them, are read as such and open here', async () => {
  const artifact = gpgEncrypt(Buffer.from('hello'), '--hidden-recipient-file', [ana])
  const { bytes, keyIds } = readEnvelope(artifact)
  assert.deepEqual(keyIds, ['0'.repeat(16)])
  const sessionKey = await unwrapSessionKey(artifact.subarray(0, bytes), ana.identity)
  assert.equal(open(artifact.subarray(bytes), sessionKey).toString(), 'hello')
})

test('a new envelope in front of the old body opens with gpg and the new key alone', async () => {
  const plaintext = randomBytes(10_000)
  const sessionKey = newSessionKey()
  const old = await wrapSessionKey(sessionKey, [ana.recipient])
  const artifact = Buffer.concat([old, seal(plaintext, sessionKey)])
  const again = await wrapSessionKey(await unwrapSessionKey(old, ana.identity), [bruno.recipient])
  const rotated = Buffer.concat([again, artifact.subarray(readEnvelope(artifact).bytes)])
  assert.ok(bruno.home.succeed(['--decrypt'], rotated).equals(plaintext))
  assert.notEqual(ana.home.run(['--decrypt'], rotated).exitStatus, 0)
})

test('another key does not open it, whatever the label says', async () => {
  const envelope = await wrapSessionKey(newSessionKey(), [bruno.recipient])
  await assert.rejects(unwrapSessionKey(envelope, ana.identity), {
    code: 'ERR_NO_IDENTITY',
    message: new RegExp(`${ana.identity.fingerprint}.*${bruno.recipient.keyId}`),
  })
  const forAna = await wrapSessionKey(newSessionKey(), [ana.recipient])
  const eve = await readRecipient(Buffer.from((await makeKey()).publicKey), {
    now: new Date(),
    expired: 'refuse',
  })
  const forEve = await wrapSessionKey(newSessionKey(), [eve])
  forEve.set(forAna.subarray(3, 11), 3)
  assert.deepEqual(readDetachedEnvelope(forEve).keyIds, [ana.recipient.keyId])
  await assert.rejects(unwrapSessionKey(forEve, ana.identity), { code: 'ERR_NO_IDENTITY' })
})

test('a session key for AES-128 and two different session keys are refused', async () => {
  const encryptionKeys = await readKey({ armoredKey: ana.recipient.publicKey })
  const data = randomBytes(16)
  const short = await encryptSessionKey({ data, algorithm: 'aes128', encryptionKeys, format: 'binary' })
  await assert.rejects(unwrapSessionKey(Buffer.from(short), ana.identity), {
    code: 'ERR_FORMAT',
    message: /aes128, where one for AES-256/,
  })
  const two = [
    await wrapSessionKey(newSessionKey(), [ana.recipient]),
    await wrapSessionKey(newSessionKey(), [ana.recipient]),
  ]
  await assert.rejects(unwrapSessionKey(Buffer.concat(two), ana.identity), { code: 'ERR_FORMAT' })
})

test('a recipient whose armored key does not hold its subkey is refused', async () => {
  const mixed = { ...ana.recipient, publicKey: bruno.recipient.publicKey }
  await assert.rejects(wrapSessionKey(newSessionKey(), [mixed]), {
    code: 'ERR_KEY',
    message: /does not hold the subkey/,
  })
})
