/** Secret keys: identities and signing keys as gpg exports them, and keys made here as gpg imports them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { readKey, readPrivateKey, revokeKey } from 'openpgp'
import { newSessionKey, unwrapSessionKey, wrapSessionKey } from '../../src/openpgp/envelope.ts'
import { isProtected, readIdentity, readRecipient, readSigningKey } from '../../src/openpgp/keys.ts'
import type { GeneratedKey, KeyRequest, Recipient } from '../../src/openpgp/keys.ts'
import { ed25519Parameters, GnupgHome } from './openpgp-gnupg.ts'
import { makeKey, sealTo } from './openpgp-sealing.ts'

const now = new Date()
const day = 86_400_000
const passphrase = 'correct horse Ätna'
const protectedParameters = [...ed25519Parameters.slice(1), `Passphrase: ${passphrase}`]
const home = new GnupgHome()
after(() => home.close())

/** A key of this test's own moment. */
function make(request: Partial<KeyRequest> = {}): Promise<GeneratedKey> {
  return makeKey({ now, ...request })
}

function read(publicKey: string, expired: 'accept' | 'refuse' = 'refuse'): Promise<Recipient> {
  return readRecipient(Buffer.from(publicKey), { now, expired })
}

describe('identities', () => {
  test('made by gpg open what was sealed to them, unprotected and with a passphrase', async () => {
    for (const protection of ['', passphrase]) {
      const fingerprint = home.generateKey(protection === '' ? ed25519Parameters : protectedParameters)
      const secretKey = home.exportSecret(fingerprint, protection)
      assert.equal(await isProtected(secretKey), protection !== '')
      const identity = await readIdentity(secretKey, Buffer.from(protection))
      assert.deepEqual(identity.subkeys, [home.encryptionSubkey(fingerprint)])
      assert.deepEqual(
        identity.keyIds,
        identity.subkeys.map((one) => one.slice(-16)),
      )
      const sessionKey = newSessionKey()
      const recipient = await readRecipient(home.exportPublic(fingerprint), {
        now: new Date(),
        expired: 'refuse',
      })
      assert.ok(
        (await unwrapSessionKey(await wrapSessionKey(sessionKey, [recipient]), identity)).equals(sessionKey),
      )
    }
  })

  test('whose primary key is kept elsewhere are read from gpg --export-secret-subkeys', async () => {
    const fingerprint = home.generateKey(protectedParameters)
    const subkeysOnly = home.exportSecret(fingerprint, passphrase, '--export-secret-subkeys')
    assert.equal(await isProtected(subkeysOnly), true)
    const identity = await readIdentity(subkeysOnly, Buffer.from(passphrase))
    assert.deepEqual(identity.subkeys, [home.encryptionSubkey(fingerprint)])
  })

  test('say whether the passphrase is missing or wrong, and for which key', async () => {
    const key = await make({ passphrase: Buffer.from(passphrase) })
    const secretKey = Buffer.from(key.secretKey)
    await assert.rejects(readIdentity(secretKey, undefined), {
      code: 'ERR_NO_IDENTITY',
      message: `key ${key.fingerprint} is protected and no passphrase was given`,
    })
    await assert.rejects(readIdentity(secretKey, Buffer.from('wrong')), {
      code: 'ERR_NO_IDENTITY',
      message: `the passphrase is wrong for key ${key.fingerprint}`,
    })
  })

  test('that expired or were revoked still open', async () => {
    const key = await make({ now: new Date(now.getTime() - 40 * day), validDays: 30 })
    const recipient = await read(key.publicKey, 'accept')
    const { privateKey } = await revokeKey({ key: await readPrivateKey({ armoredKey: key.secretKey }) })
    const sessionKey = newSessionKey()
    const envelope = await wrapSessionKey(sessionKey, [recipient])
    const identity = await readIdentity(Buffer.from(privateKey), undefined)
    assert.ok((await unwrapSessionKey(envelope, identity)).equals(sessionKey))
  })

  test('are secret keys that can open: others are refused', async () => {
    await assert.rejects(readIdentity(Buffer.from((await make()).publicKey), undefined), {
      code: 'ERR_KEY',
      message: /is a public key/,
    })
    await assert.rejects(readIdentity(Buffer.from((await make({ use: 'sign' })).secretKey), undefined), {
      code: 'ERR_NO_IDENTITY',
      message: /no secret encryption subkey/,
    })
  })
})

describe('signing keys', () => {
  test('are unprotected secret keys that can sign: others are refused', async () => {
    const key = await make({ use: 'sign' })
    const signingKey = await readSigningKey(Buffer.from(key.secretKey))
    assert.equal(signingKey.fingerprint, key.fingerprint)
    assert.equal((await readKey({ armoredKey: signingKey.publicKey })).isPrivate(), false)
    const protectedKey = await make({ use: 'sign', passphrase: Buffer.from(passphrase) })
    await assert.rejects(readSigningKey(Buffer.from(protectedKey.secretKey)), {
      code: 'ERR_KEY',
      message: new RegExp(`${protectedKey.fingerprint} is protected by a passphrase`),
    })
    await assert.rejects(readSigningKey(Buffer.from(key.publicKey)), {
      code: 'ERR_KEY',
      message: /is a public key/,
    })
    const subkeysOnly = home.exportSecret(home.generateKey(ed25519Parameters), '', '--export-secret-subkeys')
    await assert.rejects(readSigningKey(subkeysOnly), {
      code: 'ERR_KEY',
      message: /that signs is not in this file/,
    })
    const { privateKey } = await revokeKey({ key: await readPrivateKey({ armoredKey: key.secretKey }) })
    await assert.rejects(readSigningKey(Buffer.from(privateKey)), { code: 'ERR_KEY', message: /cannot sign/ })
  })

  test('show nothing of their secret in a log or in JSON', async () => {
    const signingKey = await readSigningKey(Buffer.from((await make({ use: 'sign' })).secretKey))
    assert.deepEqual(Object.keys(signingKey), ['fingerprint', 'publicKey'])
    assert.doesNotMatch(inspect(signingKey, { depth: 9, showHidden: true }), /private|secret/i)
  })
})

describe('keys made here', () => {
  let rsa: GeneratedKey

  before(async () => {
    rsa = await make({ kind: 'rsa4096', validDays: 365 })
  })

  test('are imported by gpg, listed as asked for, and decrypt there', async () => {
    const key = await make({ validDays: 30, name: 'Ana Müller' })
    for (const [made, kind, days] of [
      [key, '22', 30],
      [rsa, '1', 365],
    ] as const) {
      home.importKey(made.secretKey)
      const lines = home
        .succeed(['--with-colons', '--list-secret-keys', made.fingerprint])
        .toString()
        .split('\n')
      const [primary, subkey] = ['sec:', 'ssb:'].map((start) =>
        lines.find((line) => line.startsWith(start))?.split(':'),
      )
      assert.equal(primary?.[3], kind)
      assert.equal(subkey?.[2], kind === '1' ? '4096' : '255')
      assert.equal(subkey?.[11], 'e')
      const seconds = Math.floor(now.getTime() / 1000) + days * 86_400
      assert.equal(primary?.[6], String(seconds))
      assert.equal(subkey?.[6], String(seconds))
      const artifact = await sealTo(await read(made.publicKey), Buffer.from('hello'))
      assert.equal(home.succeed(['--decrypt'], artifact).toString(), 'hello')
    }
  })

  test('with a passphrase are protected, and unlocked by it in gpg and here', async () => {
    const key = await make({ passphrase: Buffer.from(passphrase) })
    assert.equal(await isProtected(Buffer.from(key.secretKey)), true)
    assert.equal(
      (await readIdentity(Buffer.from(key.secretKey), Buffer.from(passphrase))).fingerprint,
      key.fingerprint,
    )
    home.importKey(key.secretKey)
    const artifact = await sealTo(await read(key.publicKey), Buffer.from('hello'))
    const loopback = ['--pinentry-mode', 'loopback', '--decrypt', '--passphrase']
    assert.notEqual(home.run([...loopback, 'wrong'], artifact).exitStatus, 0)
    assert.equal(home.succeed([...loopback, passphrase], artifact).toString(), 'hello')
  })

  test('for signing have no subkey at all', async () => {
    const { publicKey } = await make({ use: 'sign' })
    assert.equal((await readKey({ armoredKey: publicKey })).subkeys.length, 0)
  })

  test('come with a revocation certificate that gpg takes', async () => {
    const key = await make()
    home.importKey(key.publicKey)
    home.importKey(key.revocation)
    assert.match(home.succeed(['--with-colons', '--list-keys', key.fingerprint]).toString(), /^pub:r:/m)
  })

  test('are not made for names, addresses and passphrases that will not do', async () => {
    const wrong: readonly Partial<KeyRequest>[] = [
      { name: '' },
      { name: 'Ana <eve@example.org>' },
      { name: 'Ana\n' },
      { email: 'ana' },
      { email: 'ana@localhost' },
      { email: 'a b@example.org' },
      { passphrase: Buffer.alloc(0) },
    ]
    for (const request of wrong) await assert.rejects(make(request), { code: 'ERR_USAGE' }, inspect(request))
  })
})
