/**
 * What coffre would send to each provider, composed by the SDK and never sent: addresses and headers as the providers'
 * pages ask for them (docs/providers.md). It shows what is asked, not that anybody answers.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Provider, providers, providerTraits } from '../../src/model/provider.ts'
import { connectS3 } from '../../src/storage/s3-connection.ts'

interface Composed {
  readonly host: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** The request for a small create-only object, in the provider's example region, with its default encryption. */
async function compose(provider: Provider, bucket = 'shop-backups'): Promise<Composed> {
  const { address, encryptions } = providerTraits[provider]
  const s3 = await connectS3({
    provider,
    endpoint: 'endpoint' in address ? address.endpoint : undefined,
    region: 'region' in address ? address.region : 'us-east-1',
    bucket,
    prefix: 'daily',
    encryption: encryptions[0],
    kmsKey: undefined,
    credentials: { accessKeyId: 'ACCESS', secretAccessKey: 'secret' },
  })
  let composed: Composed | undefined
  s3.client.middlewareStack.add(
    () => async (args) => {
      composed = Object(args.request) as Composed & { hostname: string }
      composed = { ...composed, host: String(Reflect.get(composed, 'hostname')) }
      throw new Error('not sent')
    },
    { step: 'finalizeRequest', priority: 'low' },
  )
  const command = new s3.sdk.PutObjectCommand({
    ...s3.keyOf('a'),
    ...s3.encryptionHeaders(),
    Body: Buffer.from('x'),
  })
  await assert.rejects(s3.client.send(command), /not sent/)
  return composed ?? assert.fail('nothing was composed')
}

const expected: Readonly<Record<Provider, readonly [host: string, path: string, encryption?: string]>> = {
  aws: ['shop-backups.s3.eu-west-3.amazonaws.com', '/daily/a', 'AES256'],
  ovh: ['shop-backups.s3.gra.io.cloud.ovh.net', '/daily/a', 'AES256'],
  scaleway: ['shop-backups.s3.fr-par.scw.cloud', '/daily/a', 'AES256'],
  backblaze: ['shop-backups.s3.eu-central-003.backblazeb2.com', '/daily/a', 'AES256'],
  wasabi: ['shop-backups.s3.eu-central-1.wasabisys.com', '/daily/a', 'AES256'],
  hetzner: ['shop-backups.fsn1.your-objectstorage.com', '/daily/a'],
  r2: ['ACCOUNT.r2.cloudflarestorage.com', '/shop-backups/daily/a'],
  ceph: ['s3.example.org', '/shop-backups/daily/a'],
  generic: ['s3.example.org', '/shop-backups/daily/a'],
}

for (const provider of providers) {
  test(`${provider} is asked at its own address, for its own encryption, without checksums that servers refuse`, async () => {
    const { host, path, headers } = await compose(provider)
    const [wantedHost, wantedPath, encryption] = expected[provider]
    assert.equal(host.toLowerCase(), wantedHost.toLowerCase())
    assert.equal(path, wantedPath)
    assert.equal(headers['x-amz-server-side-encryption'], encryption)
    assert.deepEqual(
      Object.keys(headers).filter((name) => /checksum|trailer|^expect$/.test(name)),
      [],
    )
  })
}

test('a bucket whose name has dots is put into the path, as no certificate covers it as a host name', async () => {
  const { host, path } = await compose('ovh', 'shop.backups')
  assert.deepEqual([host, path], ['s3.gra.io.cloud.ovh.net', '/shop.backups/daily/a'])
})
