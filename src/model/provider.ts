/**
 * The S3 providers coffre knows by name, and what each asks of a configuration. How to speak to them (endpoints,
 * checksums, limits) is the storage's business.
 */

export const providers = [
  'aws',
  'ovh',
  'scaleway',
  'backblaze',
  'wasabi',
  'hetzner',
  'r2',
  'ceph',
  'generic',
] as const
export type Provider = (typeof providers)[number]

export const encryptions = ['sse-s3', 'sse-kms', 'none'] as const
/** Server-side encryption asked of the provider, on top of coffre's own. */
export type Encryption = (typeof encryptions)[number]

interface ProviderTraits {
  /**
   * What it offers; the first is the default: sse-s3 wherever the provider is known to have it, none where it is
   * known not to (R2, Hetzner) or depends on how the server is run (Ceph, generic). Each is read in the provider's own
   * pages, 2026-11-23, and Ceph's is run, 2026-11-24 (docs/providers.md). Whatever stands here, what was asked for is
   * looked for on every stored object.
   */
  readonly encryptions: readonly [Encryption, ...Encryption[]]
  /** What its address is made from: a region (with an example), or an endpoint that must be given. */
  readonly address: { readonly region: string } | { readonly endpoint: string }
}

export const providerTraits: Readonly<Record<Provider, ProviderTraits>> = {
  aws: { encryptions: ['sse-s3', 'sse-kms', 'none'], address: { region: 'eu-west-3' } },
  ovh: { encryptions: ['sse-s3', 'none'], address: { region: 'gra' } },
  scaleway: { encryptions: ['sse-s3', 'sse-kms', 'none'], address: { region: 'fr-par' } },
  backblaze: { encryptions: ['sse-s3', 'none'], address: { region: 'eu-central-003' } },
  wasabi: { encryptions: ['sse-s3', 'none'], address: { region: 'eu-central-1' } },
  hetzner: { encryptions: ['none'], address: { region: 'fsn1' } },
  r2: { encryptions: ['none'], address: { endpoint: 'https://ACCOUNT.r2.cloudflarestorage.com' } },
  ceph: { encryptions: ['none', 'sse-s3', 'sse-kms'], address: { endpoint: 'https://s3.example.org' } },
  generic: { encryptions: ['none', 'sse-s3', 'sse-kms'], address: { endpoint: 'https://s3.example.org' } },
}
