/**
 * What each S3 provider does differently, as data. Every value says where it comes from: **run** (by coffre's own tests,
 * against a real server of that software), **validated** (the request that coffre makes of it is checked by a test, no
 * server has seen it), **read** (in the provider's own pages, named beside it), each with its date; where a page is
 * silent the careful value stands. Which encryption and which address a configuration may ask for is in
 * `model/provider.ts`; nothing here decides anything: `s3-connection.ts` and `s3-upload.ts` read it.
 */
import type { Provider } from '../model/provider.ts'

export interface ProviderProfile {
  /** For messages. */
  readonly name: string
  /** `{region}` stands for the region; undefined where the address must be configured (or, `aws`, is known). */
  readonly endpoint: string | undefined
  /** The bucket in the path instead of in the host name. */
  readonly pathStyle: boolean
  /**
   * When to add the checksum headers that SDKs add since 2025: WHEN_REQUIRED everywhere, as OVHcloud, Backblaze,
   * Hetzner, R2 (read, their issues, 2026-11-23) and Ceph 16 (run 2026-11-24) refuse or ignore some of them.
   * Content-MD5, which all of them check, is always sent instead.
   */
  readonly checksums: 'WHEN_REQUIRED' | 'WHEN_SUPPORTED'
  /**
   * Whether PutObject honours `If-None-Match: *`. `unknown` (or not always): it is sent, and the key is looked for before. `no`: it is
   * not sent, and "create only" is that look alone: two writers at the same moment can then both succeed, and the later
   * one's bytes stay.
   */
  readonly conditionalPut: 'yes' | 'unknown' | 'no'
  /**
   * `md5`: the ETag of what was stored is the MD5 of its bytes, or of its parts' MD5s, and is compared with them.
   * `opaque`: nobody has tried. Never compared under a KMS key.
   */
  readonly etag: 'md5' | 'opaque'
  /** Parts of one multipart upload. */
  readonly maxParts: number
  /** All parts but the last must have one size, so they cannot grow with the object. */
  readonly uniformParts: boolean
  readonly partSizeBytes: number
}

const mebibyte = 1024 * 1024

/** What most of them share. Parts: "Amazon S3 multipart upload limits" (5 MiB to 5 GiB, 10,000 parts); read 2026-11-23. */
const common = {
  pathStyle: false,
  checksums: 'WHEN_REQUIRED',
  conditionalPut: 'yes',
  etag: 'opaque',
  maxParts: 10_000,
  uniformParts: false,
  partSizeBytes: 8 * mebibyte,
} as const satisfies Partial<ProviderProfile>

export const providerProfiles: Readonly<Record<Provider, ProviderProfile>> = {
  // AWS, "Add preconditions to S3 operations with conditional requests", "Object" (ETag); read 2026-11-23. The SDK knows
  // the addresses; validated 2026-11-24.
  aws: { ...common, name: 'AWS', endpoint: undefined, etag: 'md5' },

  // OVHcloud, "Object Storage - Endpoints and geoavailability" (2026-02-03), "Conditional writes" (2026-06-09: If-None-Match
  // since then; before, 501), "Technical limitations" (2026-02-18); read 2026-11-23. Address: validated 2026-11-24.
  ovh: { ...common, name: 'OVHcloud', endpoint: 'https://s3.{region}.io.cloud.ovh.net' },

  // Scaleway, "Using conditional writes" (2026-07-03), "Managing multipart uploads": 1 to 1000 parts; read 2026-11-23.
  // Address: validated 2026-11-24.
  scaleway: {
    ...common,
    name: 'Scaleway',
    endpoint: 'https://s3.{region}.scw.cloud',
    maxParts: 1000,
    partSizeBytes: 32 * mebibyte,
  },

  // Backblaze, "Call the S3-Compatible API"; read 2026-11-23. Silent on conditional writes: one source has them, users saw
  // 501 NotImplemented in 2026. Address: validated 2026-11-24.
  backblaze: {
    ...common,
    name: 'Backblaze B2',
    endpoint: 'https://s3.{region}.backblazeb2.com',
    conditionalPut: 'no',
  },

  // Wasabi, "Service URLs for Wasabi's storage regions", "Operations on objects": silent on conditional writes; read
  // 2026-11-23. Address: validated 2026-11-24.
  wasabi: {
    ...common,
    name: 'Wasabi',
    endpoint: 'https://s3.{region}.wasabisys.com',
    conditionalPut: 'no',
  },

  // Hetzner, "Object Storage: supported actions"; conditional writes by another project's probe of 2026-09-21; read
  // 2026-11-23. Address: validated 2026-11-24.
  hetzner: { ...common, name: 'Hetzner', endpoint: 'https://{region}.your-objectstorage.com' },

  // Cloudflare, "R2: S3 API compatibility" (the address holds the account), "R2: Multipart upload" (all parts but the last
  // of one size: 32 MiB gives 312 GiB); conditional writes by another project's probe of 2026-09-21; read 2026-11-23.
  r2: {
    ...common,
    name: 'Cloudflare R2',
    endpoint: undefined,
    pathStyle: true,
    uniformParts: true,
    partSizeBytes: 32 * mebibyte,
  },

  // Ceph's Object Gateway: all of it run 2026-11-24 with releases 16.2 and 18.2. (Only PutObject honours
  // `If-None-Match: *` there, the completion of an upload does not before 20: commit points are single puts. In a bucket
  // with versioning 16.2 ignores it and adds a version: so the key is looked for before.)
  ceph: {
    ...common,
    name: 'Ceph',
    endpoint: undefined,
    pathStyle: true,
    conditionalPut: 'unknown',
    etag: 'md5',
  },

  // Anything else: everything may be asked for, and what is not given is noticed.
  generic: {
    ...common,
    name: 'this S3 server',
    endpoint: undefined,
    pathStyle: true,
    conditionalPut: 'unknown',
  },
}
