/**
 * A small configuration whose parts can be replaced, for the configuration's tests: sources stand on line 1,
 * repositories on 2, trust on 3, recipients on 4, anything more from 5 on.
 */
import { checkConfig, type ConfigOptions } from '../../src/config.ts'

export const root = '0123456789ABCDEF0123456789ABCDEF01234567'
export const pin = '89ABCDEF0123456789ABCDEF0123456789ABCDEF'
export const options: ConfigOptions = {
  file: '/etc/coffre/coffre.yaml',
  environment: {},
  readableByOthers: true,
}
export const source = '{database: app, run: [docker, exec, -i, pg]}'
export const s3 = 'provider: ovh, region: gra, bucket: backups'

export interface Parts {
  readonly sources?: string
  readonly repositories?: string
  readonly trust?: string
  readonly recipients?: string
  readonly more?: string
}

export function written(parts: Parts = {}): string {
  return [
    `sources: ${parts.sources ?? `{app: ${source}}`}`,
    `repositories: ${parts.repositories ?? `{main: {s3: {${s3}}}}`}`,
    `trust: ${parts.trust ?? `{root: ${root}}`}`,
    `recipients: ${parts.recipients ?? `[{file: a.asc, fingerprint: ${pin}}]`}`,
    parts.more ?? '',
  ].join('\n')
}

export const inS3 = (text: string): Parts => ({ repositories: `{main: {s3: {${text}}}}` })
export const inSource = (text: string): Parts => ({ sources: `{app: {${text}}}` })
export const inRun = (words: string): Parts => inSource(`database: app, run: [${words}]`)
export const inWriter = (text: string): Parts => inS3(`${s3}, credentials: {writer: {${text}}}`)

/** Every problem as `LINE PATH: MESSAGE; HINT`. */
export function complaints(text: string, changed: Partial<ConfigOptions> = {}): readonly string[] {
  const check = checkConfig(text, { ...options, ...changed })
  if (check.ok) return []
  return check.problems.map(({ line, path, message, hint }) => `${line} ${path}: ${message}; ${hint}`)
}

/** A whole configuration as a value, every key in it, for the properties. `env:S` must be set. */
export const model = {
  sources: {
    app: { database: 'app', user: 'app', run: ['docker', 'exec', '-i', 'pg'], jobs: 2 },
    other: { url: 'postgres://h/d' },
  },
  repositories: {
    main: {
      s3: {
        provider: 'aws',
        region: 'eu-west-3',
        bucket: 'backups',
        prefix: 'p',
        endpoint: 'https://s3.example.org',
        encryption: 'sse-kms',
        kms_key: 'k',
        credentials: {
          writer: { access_key: 'A', secret_key: 'env:S' },
          reader: { access_key_file: 'a', secret_key_file: 's' },
        },
      },
    },
    second: { directory: '/x' },
  },
  trust: { root },
  recipients: [{ file: 'a.asc', fingerprint: pin }],
  signing: { key_file: 'k', role: 'host' },
  keys: { on_expired: 'refuse' },
  compression: { algorithm: 'gzip', level: 3 },
}
