/** Recipients: public keys of every kind that people have, read as they are or refused by name. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { enums, generateKey as generateOther, readKey, readPrivateKey, revokeKey } from 'openpgp'
import type { KeyOptions } from 'openpgp'
import { readRecipient } from '../../src/openpgp/keys.ts'
import type { GeneratedKey, KeyRequest, Recipient } from '../../src/openpgp/keys.ts'
import { ed25519Parameters, GnupgHome } from './openpgp-gnupg.ts'
import { makeKey, sealTo } from './openpgp-sealing.ts'

const now = new Date()
const day = 86_400_000
const home = new GnupgHome()
after(() => home.close())

/** A public key of a kind that coffre does not make. */
async function makeOther(options: Partial<KeyOptions>): Promise<Buffer> {
  const { publicKey } = await generateOther({
    userIDs: [{ name: 'Ana', email: 'ana@example.org' }],
    date: now,
    ...options,
    format: 'armored',
  })
  return Buffer.from(publicKey)
}

/** A key of this test's own moment. */
function make(request: Partial<KeyRequest> = {}): Promise<GeneratedKey> {
  return makeKey({ now, ...request })
}

function read(publicKey: string | Uint8Array, expired: 'accept' | 'refuse' = 'refuse'): Promise<Recipient> {
  return readRecipient(Buffer.from(publicKey), { now, expired })
}

describe('recipients', () => {
  test('are read from what gpg exports, armored or binary', async () => {
    const fingerprint = home.generateKey([...ed25519Parameters.slice(0, -1), 'Expire-Date: 30d'])
    const recipient = await readRecipient(home.exportPublic(fingerprint), {
      now: new Date(),
      expired: 'refuse',
    })
    assert.equal(recipient.fingerprint, fingerprint)
    assert.equal(recipient.subkey, home.encryptionSubkey(fingerprint))
    assert.equal(recipient.keyId, recipient.subkey.slice(-16))
    assert.equal(recipient.userId, 'Ana <ana@example.org>')
    assert.ok(Math.abs((recipient.expiresAt?.getTime() ?? 0) - now.getTime() - 30 * day) < day)
    const binary = home.succeed(['--export', fingerprint])
    assert.deepEqual(await readRecipient(binary, { now: new Date(), expired: 'refuse' }), recipient)
  })

  test('are plain data: made again from their armored text they are the same', async () => {
    const recipient = await read((await make()).publicKey)
    assert.equal(recipient.expiresAt, undefined)
    assert.deepEqual(await read(recipient.publicKey), recipient)
    assert.deepEqual(structuredClone(recipient), recipient)
  })

  test('are sealed to by their newest valid subkey', async () => {
    const { secretKey } = await make({ now: new Date(now.getTime() - 10 * day) })
    const key = await readPrivateKey({ armoredKey: secretKey })
    const newer = await key.addSubkey({
      type: 'ecc',
      curve: 'curve25519Legacy',
      date: new Date(now.getTime() - day),
    })
    const short = await newer.addSubkey({
      type: 'ecc',
      curve: 'curve25519Legacy',
      date: new Date(now.getTime() - day / 2),
      keyExpirationTime: 60,
    })
    const { subkey } = await read(short.toPublic().armor())
    assert.equal(subkey, short.subkeys[1]?.getFingerprint().toUpperCase())
  })

  test('that expired are refused by name, or accepted and then still sealed to', async () => {
    const then = new Date(now.getTime() - 40 * day)
    const key = await make({ now: then, validDays: 30 })
    await assert.rejects(read(key.publicKey), {
      code: 'ERR_KEY',
      message: new RegExp(
        `${key.fingerprint} expired on ${new Date(then.getTime() + 30 * day).toISOString().slice(0, 10)}`,
      ),
      hint: /--quick-set-expire/,
    })
    const recipient = await read(key.publicKey, 'accept')
    assert.ok(recipient.expiresAt && recipient.expiresAt < now)
    home.importKey(key.secretKey)
    assert.equal(
      home.succeed(['--decrypt'], await sealTo(recipient, Buffer.from('hello'))).toString(),
      'hello',
    )
  })

  test('that are revoked are refused, also when expired ones are accepted and whatever date the revocation has', async () => {
    const key = await make()
    home.importKey(key.publicKey)
    home.importKey(key.revocation)
    const revoked = { code: 'ERR_KEY', message: new RegExp(`${key.fingerprint} is revoked`) }
    await assert.rejects(read(home.exportPublic(key.fingerprint)), revoked)
    await assert.rejects(read(home.exportPublic(key.fingerprint), 'accept'), revoked)
    const later = await revokeKey({
      key: await readPrivateKey({ armoredKey: key.secretKey }),
      reasonForRevocation: { flag: enums.reasonForRevocation.keyRetired },
      date: new Date(now.getTime() + day),
    })
    await assert.rejects(read(later.publicKey), revoked)
  })

  test('whose only encryption subkey is revoked are refused', async () => {
    const fingerprint = home.generateKey(ed25519Parameters)
    home.succeed(['--command-fd', '0', '--edit-key', fingerprint], 'key 1\nrevkey\ny\n0\n\ny\nsave\n')
    await assert.rejects(
      readRecipient(home.exportPublic(fingerprint), { now: new Date(), expired: 'accept' }),
      {
        code: 'ERR_KEY',
        message: new RegExp(`${fingerprint} has no encryption subkey left: it is revoked`),
      },
    )
  })

  test('without an encryption subkey, of too short RSA or of newer kinds are refused by name', async () => {
    const rsa2048 = home.generateKey([
      '%no-protection',
      'Key-Type: RSA',
      'Key-Length: 2048',
      'Name-Real: Bruno',
    ])
    const shortSubkey = makeOther({
      type: 'ecc',
      curve: 'ed25519Legacy',
      subkeys: [{ type: 'rsa', rsaBits: 2048 }],
    })
    const cases: readonly (readonly [Buffer, RegExp])[] = [
      [Buffer.from((await make({ use: 'sign' })).publicKey), /has no encryption subkey$/],
      [home.exportPublic(rsa2048), new RegExp(`${rsa2048} is RSA with 2048 bits; 3072 is the least`)],
      [await shortSubkey, /subkey that is RSA with 2048 bits; 3072 is the least/],
      [await makeOther({ type: 'ecc', curve: 'nistP256' }), /subkey that is of the kind ecdh nistP256/],
      [await makeOther({ type: 'curve25519' }), /is of the kind ed25519;/],
      [await makeOther({ type: 'curve25519', config: { v6Keys: true } }), /is a version 6 key/],
    ]
    for (const [publicKey, message] of cases)
      await assert.rejects(read(publicKey), { code: 'ERR_KEY', message })
  })

  test('are one public key and nothing else', async () => {
    const [one, two] = [await make(), await make()]
    const secret = {
      code: 'ERR_KEY',
      message: /is a secret key/,
      hint: /never put a secret key on this machine/,
    }
    await assert.rejects(read(one.secretKey), secret)
    await assert.rejects(read((await readPrivateKey({ armoredKey: one.secretKey })).write()), secret)
    const binary = (await readKey({ armoredKey: one.publicKey })).write()
    const wrong: readonly (readonly [string | Uint8Array, RegExp])[] = [
      [one.publicKey + two.publicKey, /exactly one OpenPGP key is wanted, not 2/],
      [one.publicKey + one.secretKey, /exactly one OpenPGP key is wanted, not 2/],
      [
        Buffer.concat([binary, (await readKey({ armoredKey: two.publicKey })).write()]),
        /exactly one .* not 2/,
      ],
      ['', /exactly one OpenPGP key is wanted, not 0/],
      ['hello', /exactly one OpenPGP key is wanted, not 0/],
      [binary.subarray(0, 40), /not a usable OpenPGP key/],
      [randomBytes(40).fill(0xff, 0, 1), /not a usable OpenPGP key/],
    ]
    for (const [bytes, message] of wrong) await assert.rejects(read(bytes), { code: 'ERR_KEY', message })
  })
})
