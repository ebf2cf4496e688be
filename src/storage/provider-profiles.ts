/**
 * What each S3 provider does differently, as data. Every value comes from the provider's own page, named beside it;
 * where a page is silent the careful value stands. Nothing here decides anything: `s3-connection.ts` reads it.
 */

export type S3Provider =
  | 'aws'
  | 'ovh'
  | 'scaleway'
  | 'backblaze'
  | 'wasabi'
  | 'hetzner'
  | 'r2'
  | 'ceph'
  | 'generic'

export type S3Encryption = 'sse-s3' | 'sse-kms' | 'none'

export interface ProviderProfile {
  /** For messages. */
  readonly name: string
  /** `{region}` stands for the region; undefined where the address must be configured (or, `aws`, is known). */
  readonly endpoint: string | undefined
  readonly endpointRequired: boolean
  /** The bucket in the path instead of in the host name. */
  readonly pathStyle: boolean
  /**
   * When to add the checksum headers that SDKs add since 2025: WHEN_REQUIRED everywhere, as OVHcloud, Backblaze,
   * Hetzner, R2 and older Ceph refused them. Content-MD5, which all of them check, is always sent instead.
   */
  readonly checksums: 'WHEN_REQUIRED' | 'WHEN_SUPPORTED'
  /** What may be asked for. What was asked for is looked for on every stored object, whatever stands here. */
  readonly encryption: readonly S3Encryption[]
  /**
   * Whether PutObject honours `If-None-Match: *`. Where it does not, "create only" is a look before the write:
   * two writers at the same moment can then both succeed, and the later one's bytes stay.
   */
  readonly conditionalPut: boolean
  /** Parts of one multipart upload. */
  readonly maxParts: number
  /** All parts but the last must have one size, so they cannot grow with the object. */
  readonly uniformParts: boolean
  readonly partSizeBytes: number
}

const mebibyte = 1024 * 1024

/** What most of them share: "Amazon S3 multipart upload limits" (5 MiB to 5 GiB, 10,000 parts). */
const common = {
  endpointRequired: false,
  pathStyle: false,
  checksums: 'WHEN_REQUIRED',
  encryption: ['sse-s3', 'none'],
  conditionalPut: true,
  maxParts: 10_000,
  uniformParts: false,
  partSizeBytes: 8 * mebibyte,
} as const satisfies Partial<ProviderProfile>

export const providerProfiles: Readonly<Record<S3Provider, ProviderProfile>> = {
  // AWS, "Add preconditions to S3 operations with conditional requests", "Using server-side encryption".
  aws: { ...common, name: 'AWS', endpoint: undefined, encryption: ['sse-s3', 'sse-kms', 'none'] },

  // OVHcloud, "Object Storage - Endpoints and geoavailability", "Encrypt your server-side objects with SSE-OMK"
  // (AES256; no KMS), "Conditional writes" (since 2026-06-09), "Technical limitations".
  ovh: { ...common, name: 'OVHcloud', endpoint: 'https://s3.{region}.io.cloud.ovh.net' },

  // Scaleway, "Enable SSE-ONE", "Using conditional writes", "Managing multipart uploads": 1 to 1000 parts.
  scaleway: {
    ...common,
    name: 'Scaleway',
    endpoint: 'https://s3.{region}.scw.cloud',
    encryption: ['sse-s3', 'sse-kms', 'none'],
    maxParts: 1000,
    partSizeBytes: 32 * mebibyte,
  },

  // Backblaze, "Call the S3-Compatible API", "Server-Side Encryption" (SSE-B2). Its page is silent on conditional
  // writes, and users saw `If-None-Match` answered with 501 NotImplemented in 2026.
  backblaze: {
    ...common,
    name: 'Backblaze B2',
    endpoint: 'https://s3.{region}.backblazeb2.com',
    conditionalPut: false,
  },

  // Wasabi, "Service URLs for Wasabi's storage regions", "Operations on objects": silent on conditional writes.
  wasabi: {
    ...common,
    name: 'Wasabi',
    endpoint: 'https://s3.{region}.wasabisys.com',
    conditionalPut: false,
  },

  // Hetzner, "Object Storage: supported actions": no server-side encryption but SSE-C, which coffre does not use.
  hetzner: {
    ...common,
    name: 'Hetzner',
    endpoint: 'https://{region}.your-objectstorage.com',
    encryption: ['none'],
  },

  // Cloudflare, "R2: S3 API compatibility" (no x-amz-server-side-encryption; always encrypted at rest; the address
  // holds the account), "R2: Multipart upload" (all parts but the last of one size: 32 MiB gives 312 GiB).
  r2: {
    ...common,
    name: 'Cloudflare R2',
    endpoint: undefined,
    endpointRequired: true,
    pathStyle: true,
    encryption: ['none'],
    uniformParts: true,
    partSizeBytes: 32 * mebibyte,
  },

  // Ceph, "Object Gateway S3 API", "Encryption": sse-s3 needs release 17 and a key server; 16 ignores it silently,
  // which the look at the stored object finds out. `If-None-Match: *` works on PutObject from 16 on.
  ceph: {
    ...common,
    name: 'Ceph',
    endpoint: undefined,
    endpointRequired: true,
    pathStyle: true,
    encryption: ['sse-s3', 'sse-kms', 'none'],
  },

  // Anything else: everything may be asked for, and what is not given is noticed.
  generic: {
    ...common,
    name: 'this S3 server',
    endpoint: undefined,
    endpointRequired: true,
    pathStyle: true,
    encryption: ['sse-s3', 'sse-kms', 'none'],
  },
}
