/**
 * The rules between keys: what needs what, what excludes what. Each gets a mapping as it was written, so that it
 * can speak even where another key of the same mapping is wrong; what one key must be by itself is the schema's.
 */
import { encryptions, providers, providerTraits, type Provider } from '../model/provider.ts'
import { isTimeZone } from '../model/retention/periods.ts'
import { shownKey } from './problem.ts'
import { commandPrefixFault } from './command-prefix.ts'

export type Mapping = Readonly<Record<string, unknown>>
/** `path` is relative to the mapping that the rule was given. */
export type Report = (path: readonly PropertyKey[], message: string, hint: string) => void

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function has(mapping: Mapping, key: string): boolean {
  return mapping[key] !== undefined
}

export function sourceRules(source: Mapping, report: Report): void {
  if (has(source, 'url')) {
    for (const key of ['database', 'user', 'run'].filter((key) => has(source, key))) {
      report([key], 'cannot stand beside url', 'keep either url, or database with user and run')
    }
  } else if (!has(source, 'database')) {
    report(
      [],
      'has neither url nor database',
      'add url: postgres://…, or database: NAME and the command prefix run: […]',
    )
  }
  const run = source['run']
  if (!Array.isArray(run)) return
  const fault = commandPrefixFault(run.filter((word) => typeof word === 'string'))
  if (fault !== undefined) report(['run'], fault.message, fault.hint)
}

export function repositoryRules(repository: Mapping, report: Report): void {
  if (has(repository, 's3') && has(repository, 'directory')) {
    report(['directory'], 'cannot stand beside s3', 'give the folder a name of its own under repositories')
  }
  if (!has(repository, 's3') && !has(repository, 'directory')) {
    report([], 'has neither s3 nor directory', 'add s3: with provider and bucket, or directory: PATH')
  }
}

export function retentionRules(retention: Mapping, report: Report): void {
  const { timezone } = retention
  if (typeof timezone === 'string' && !isTimeZone(timezone))
    report(['timezone'], 'must be an IANA time zone', 'for example timezone: Europe/Brussels')
  const rules = ['daily', 'weekly', 'monthly', 'yearly'] as const
  if (rules.some((name) => retention[name] !== 0)) return
  report([], 'keeps nothing but the newest', 'give at least one of daily, weekly, monthly or yearly')
}

/** `repositories`: copies go to others that there are. */
export function copyRules(repositories: Mapping, report: Report): void {
  for (const [name, repository] of Object.entries(repositories)) {
    const copyTo = isMapping(repository) ? repository['copy_to'] : undefined
    if (!Array.isArray(copyTo)) continue
    copyTo.forEach((other: unknown, index) => {
      if (typeof other !== 'string' || (other !== name && has(repositories, other))) return
      const names = Object.keys(repositories).filter((one) => one !== name)
      const hint =
        names.length === 0
          ? 'add a second one under repositories'
          : `there is ${names.map(shownKey).join(', ')}`
      report([name, 'copy_to', index], 'is not the name of another repository', hint)
    })
  }
}

export function s3Rules(s3: Mapping, report: Report): void {
  const provider = providers.find((name) => name === s3['provider'])
  if (provider !== undefined) providerRules(provider, s3, report)
  if (s3['encryption'] === 'sse-kms' && !has(s3, 'kms_key')) {
    report(['kms_key'], 'is missing: sse-kms needs it', 'add kms_key: with the identifier of the key')
  }
  if (s3['encryption'] !== 'sse-kms' && has(s3, 'kms_key')) {
    report(['kms_key'], 'is used by sse-kms only', 'write encryption: sse-kms, or remove kms_key')
  }
  if (typeof s3['endpoint'] === 'string') {
    const message = endpointFault(s3['endpoint'])
    if (message !== undefined) report(['endpoint'], message, 'for example endpoint: https://s3.example.org')
  }
}

function providerRules(provider: Provider, s3: Mapping, report: Report): void {
  const { address, encryptions: offered } = providerTraits[provider]
  if ('region' in address && !has(s3, 'region')) {
    report(['region'], `is missing: ${provider} needs it`, `for example region: ${address.region}`)
  }
  if ('endpoint' in address && !has(s3, 'endpoint')) {
    report(['endpoint'], `is missing: ${provider} needs it`, `for example endpoint: ${address.endpoint}`)
  }
  const asked = encryptions.find((name) => name === s3['encryption'])
  if (asked !== undefined && !offered.includes(asked)) {
    const others = offered.map((name) => `encryption: ${name}`).join(' or ')
    report(['encryption'], `${asked} is not to be had from ${provider}`, `write ${others}`)
  }
}

function endpointFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'must not hold a user or a password'
  if (url.search !== '' || url.hash !== '') return 'must end with the host, or a path'
  if (url.protocol === 'https:') return undefined
  if (url.protocol !== 'http:') return 'must start with https://'
  return isLoopback(url.hostname)
    ? undefined
    : 'must start with https:// (http only reaches this machine itself)'
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** One role's credential: each half once, in the file or in a file of its own. */
export function credentialRules(credential: Mapping, report: Report): void {
  for (const half of ['access_key', 'secret_key']) {
    const file = `${half}_file`
    if (has(credential, half) && has(credential, file))
      report([file], `cannot stand beside ${half}`, 'keep one of the two')
    if (!has(credential, half) && !has(credential, file))
      report([half], 'is missing', `add ${file}: PATH, or ${half}: env:NAME`)
  }
}

export function compressionRules(compression: Mapping, report: Report): void {
  const level = compression['level']
  if (compression['algorithm'] === 'gzip' && typeof level === 'number' && level > 9 && level <= 19) {
    report(['level'], 'gzip has the levels 1 to 9', 'write level: auto, or use algorithm: zstd')
  }
}

export function recipientRules(recipients: readonly unknown[], report: Report): void {
  const seen = new Set<string>()
  for (const [index, recipient] of recipients.entries()) {
    const fingerprint = isMapping(recipient) ? recipient['fingerprint'] : undefined
    if (typeof fingerprint !== 'string') continue
    const normal = normalFingerprint(fingerprint)
    if (seen.has(normal))
      report([index, 'fingerprint'], 'the same recipient stands above', 'remove one of the two')
    seen.add(normal)
  }
}

/** As gpg prints it without spaces. */
export function normalFingerprint(text: string): string {
  return text.replaceAll(' ', '').toUpperCase()
}
