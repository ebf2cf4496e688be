/** Detached signatures: gpgv and coffre must agree on every one, good or bad. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { enums, generateKey as generateOther, readPrivateKey, reformatKey, revokeKey } from 'openpgp'
import { readSigningKey } from '../../src/openpgp/keys.ts'
import type { GeneratedKey, SigningKey } from '../../src/openpgp/keys.ts'
import { fingerprintOf, signDetached, verifyDetached } from '../../src/openpgp/signature.ts'
import { ed25519Parameters, GnupgHome } from './openpgp-gnupg.ts'
import { flip, makeKey } from './openpgp-sealing.ts'

const day = 86_400_000
const now = new Date(Math.floor(Date.now() / 1000) * 1000)
const then = new Date(now.getTime() - 40 * day)
const bytes = Buffer.from('{"format":1}\r\n \t\n')
const home = new GnupgHome()
let key: GeneratedKey
let signingKey: SigningKey
let signature: string

/** A signing key made forty days ago. */
function make(validDays?: number): Promise<GeneratedKey> {
  return makeKey({ name: 'host', email: 'host@example.org', use: 'sign', validDays, now: then })
}

before(async () => {
  key = await make()
  signingKey = await readSigningKey(Buffer.from(key.secretKey))
  signature = await signDetached(bytes, signingKey, now)
})
after(() => home.close())

async function refuses(
  message: RegExp,
  signed: Buffer,
  armored: string,
  publicKeys = [key.publicKey],
): Promise<void> {
  await assert.rejects(verifyDetached(signed, armored, publicKeys), { code: 'ERR_SIGNATURE', message })
}

describe('a signature made here', () => {
  test('is good for gpgv and here, over text, over nothing and over any bytes', async () => {
    for (const signed of [bytes, Buffer.alloc(0), randomBytes(100_000)]) {
      const armored = await signDetached(signed, signingKey, now)
      assert.equal(home.gpgv(key.publicKey, armored, signed).exitStatus, 0)
      assert.deepEqual(await verifyDetached(signed, armored, [key.publicKey]), {
        fingerprint: key.fingerprint,
        signedAt: now,
      })
    }
  })

  test('is one version 4 signature with SHA-512 over a binary document', () => {
    const listing = home.succeed(['--list-packets'], signature).toString()
    assert.match(
      listing,
      /:signature packet: algo 22.*\n\tversion 4, created \d+, md5len 0, sigclass 0x00\n\tdigest algo 10/,
    )
    assert.equal(listing.match(/^:/gm)?.length, 1)
  })

  test('fails for gpgv and here when one bit of the bytes is flipped', async () => {
    for (let at = 0; at < bytes.length; at++) {
      const altered = flip(bytes, at, 0)
      if (at % 8 === 0) assert.notEqual(home.gpgv(key.publicKey, signature, altered).exitStatus, 0)
      await refuses(/is not over these bytes: they were altered/, altered, signature)
    }
  })

  test('fails here when one bit of the signature itself is flipped', async () => {
    const packet = Buffer.from(signature.split('\n\n')[1]?.split('\n=')[0] ?? '', 'base64')
    let accepted = 0
    for (let at = 0; at < packet.length; at++) {
      const altered = flip(packet, at, 2)
      const armored = `-----BEGIN PGP SIGNATURE-----\n\n${altered.toString('base64')}\n-----END PGP SIGNATURE-----\n`
      await verifyDetached(bytes, armored, [key.publicKey]).then(
        () => accepted++,
        (error: unknown) =>
          assert.equal(error instanceof Error && 'code' in error && error.code, 'ERR_SIGNATURE'),
      )
    }
    assert.ok(accepted <= 2, 'only the lengths in bits of its two numbers can vary without changing them')
  })

  test('is not made after the key expired', async () => {
    const expired = await readSigningKey(Buffer.from((await make(30)).secretKey))
    await assert.rejects(signDetached(bytes, expired, now), { code: 'ERR_KEY', message: /expired/ })
  })
})

describe('a signature is accepted', () => {
  test('when gpg made it', async () => {
    const fingerprint = home.generateKey(ed25519Parameters)
    const armored = home.succeed(['--local-user', fingerprint, '--armor', '--detach-sign'], bytes).toString()
    const publicKey = home.exportPublic(fingerprint).toString()
    const verified = await verifyDetached(bytes, armored, [key.publicKey, publicKey])
    assert.equal(verified.fingerprint, fingerprint)
    assert.ok(Math.abs(verified.signedAt.getTime() - Date.now()) < 60_000)
    assert.equal(await fingerprintOf(publicKey), fingerprint)
  })

  test('when a signing subkey made it, and then the primary key is named', async () => {
    const withSubkey = await generateOther({
      userIDs: [{ name: 'host' }],
      type: 'ecc',
      curve: 'ed25519Legacy',
      date: then,
      subkeys: [{ sign: true }],
    })
    const subkeySigner = await readSigningKey(Buffer.from(withSubkey.privateKey))
    const armored = await signDetached(bytes, subkeySigner, now)
    assert.equal(home.gpgv(withSubkey.publicKey, armored, bytes).exitStatus, 0)
    const verified = await verifyDetached(bytes, armored, [withSubkey.publicKey])
    assert.equal(verified.fingerprint, subkeySigner.fingerprint)
  })

  test('when its key has expired since', async () => {
    const old = await make(30)
    const signedAt = new Date(now.getTime() - 20 * day)
    const armored = await signDetached(bytes, await readSigningKey(Buffer.from(old.secretKey)), signedAt)
    assert.deepEqual(await verifyDetached(bytes, armored, [old.publicKey]), {
      fingerprint: old.fingerprint,
      signedAt,
    })
  })
})

describe('a signature is refused', () => {
  test('by an unknown signer, whose key id is printed', async () => {
    const other = await make()
    const armored = await signDetached(bytes, await readSigningKey(Buffer.from(other.secretKey)), now)
    await refuses(new RegExp(`not trusted here: ${other.fingerprint.slice(-16)}`), bytes, armored)
    await refuses(/not trusted here/, bytes, signature, [])
  })

  test('by a revoked key, also when it signed before, and whatever date the revocation has', async () => {
    home.importKey(key.publicKey)
    home.importKey(key.revocation)
    await refuses(/is revoked/, bytes, signature, [home.exportPublic(key.fingerprint).toString()])
    for (const date of [new Date(now.getTime() + day), now]) {
      const { publicKey } = await revokeKey({
        key: await readPrivateKey({ armoredKey: key.secretKey }),
        date,
        reasonForRevocation: { flag: enums.reasonForRevocation.keySuperseded },
      })
      await refuses(/is revoked/, bytes, signature, [publicKey])
    }
  })

  test('when its key had expired before it signed', async () => {
    const published = await make(10)
    // Its holder lengthens it later, and signs; who has only the published key must not take that.
    const lengthened = await reformatKey({
      privateKey: await readPrivateKey({ armoredKey: published.secretKey }),
      date: then,
      userIDs: { name: 'host', email: 'host@example.org' },
    })
    const armored = await signDetached(bytes, await readSigningKey(Buffer.from(lengthened.privateKey)), now)
    assert.ok(await verifyDetached(bytes, armored, [lengthened.publicKey]))
    await refuses(/does not hold: .*expired/, bytes, armored, [published.publicKey])
  })

  test('when it is none, or more than one', async () => {
    const twice = `${signature}${signature}`
    const packet = signature.split('\n\n')[1]?.split('\n=')[0] ?? ''
    const doubled = Buffer.concat([Buffer.from(packet, 'base64'), Buffer.from(packet, 'base64')]).toString(
      'base64',
    )
    const armored = `-----BEGIN PGP SIGNATURE-----\n\n${doubled}\n-----END PGP SIGNATURE-----\n`
    await refuses(/exactly one signature/, bytes, twice)
    await refuses(/exactly one signature/, bytes, armored)
    for (const none of ['', 'hello', key.publicKey, signature.replace('PGP SIGNATURE', 'PGP MESSAGE')]) {
      await refuses(/not an armored OpenPGP signature/, bytes, none)
    }
  })

  test('when it is over text, whose line ends may differ', async () => {
    const fingerprint = home.generateKey(ed25519Parameters)
    const options = ['--local-user', fingerprint, '--armor', '--textmode', '--detach-sign']
    const armored = home.succeed(options, bytes).toString()
    await refuses(/over a binary document/, bytes, armored, [home.exportPublic(fingerprint).toString()])
  })

  test('when it is made with SHA-1', async () => {
    const fingerprint = home.generateKey(ed25519Parameters)
    const options = ['--local-user', fingerprint, '--digest-algo', 'SHA1', '--armor', '--detach-sign']
    const armored = home.succeed(options, bytes).toString()
    await refuses(/does not hold: .*too weak/, bytes, armored, [home.exportPublic(fingerprint).toString()])
  })
})
