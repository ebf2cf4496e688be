/**
 * Secrets as a configuration writes them: plainly, or as `env:NAME`. A plain one is refused where others can read
 * the file. `…_file` only names a file: reading it is left to whoever needs the secret.
 */
import { Secret, type SecretSource } from '../model/secret.ts'
import type { Fault } from './problem.ts'
import { isMapping } from './rules.ts'

export interface SecretContext {
  readonly file: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly readableByOthers: boolean
}

interface WrittenSecret {
  readonly path: readonly PropertyKey[]
  readonly text: string
  readonly kind: 'url' | 'access_key' | 'secret_key'
}

/** Works on any value, so that these problems come together with the schema's. */
export function secretFaults(root: unknown, context: SecretContext): readonly Fault[] {
  return [...writtenSecrets(root)].flatMap((written) => faultOf(written, context) ?? [])
}

function faultOf({ path, text, kind }: WrittenSecret, context: SecretContext): Fault | undefined {
  const name = variableName(text)
  if (name === undefined) {
    const plain = kind === 'secret_key' || (kind === 'url' && holdsPassword(text))
    if (!plain || !context.readableByOthers) return undefined
    return {
      path,
      message: 'a plain secret in a file that others can read',
      hint: `chmod 600 ${context.file}`,
    }
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    return {
      path,
      message: 'env: is followed by the name of a variable',
      hint: 'for example env:COFFRE_SECRET',
    }
  }
  const value = variable(name, context)
  if (value === undefined || value === '') {
    const shown = /^[A-Z_][A-Z0-9_]{0,62}$/.test(name) ? `variable ${name}` : 'variable named here'
    return {
      path,
      message: `the environment ${shown} is not set`,
      hint: 'set it for the user that runs coffre',
    }
  }
  if (kind === 'url' && !/^postgres(ql)?:\/\/[^\0\r\n]+$/.test(value)) {
    return {
      path,
      message: 'the variable must hold a URL postgres://…',
      hint: 'set it to postgres://USER@HOST/DATABASE',
    }
  }
  return undefined
}

/** A secret that has no fault. */
export function secretSource(text: string, context: SecretContext): Exclude<SecretSource, { kind: 'file' }> {
  const name = variableName(text)
  if (name === undefined) return { kind: 'inline', secret: new Secret(text) }
  return { kind: 'environment', name, secret: new Secret(variable(name, context) ?? '') }
}

function variableName(text: string): string | undefined {
  return text.startsWith('env:') ? text.slice('env:'.length) : undefined
}

function variable(name: string, { environment }: SecretContext): string | undefined {
  return Object.hasOwn(environment, name) ? environment[name] : undefined
}

/** Rather too often than too rarely: an `@` after a colon, or a parameter, may be a password. */
function holdsPassword(url: string): boolean {
  return /:\/\/[^@]*:[^@]+@/.test(url) || /[?&](ssl)?password=/i.test(url)
}

function* writtenSecrets(root: unknown): Generator<WrittenSecret> {
  for (const [name, source] of entries(root, 'sources')) {
    const url = isMapping(source) ? source['url'] : undefined
    if (typeof url === 'string') yield { path: ['sources', name, 'url'], text: url, kind: 'url' }
  }
  for (const [name, repository] of entries(root, 'repositories')) {
    const s3 = isMapping(repository) ? repository['s3'] : undefined
    for (const [role, credential] of entries(s3, 'credentials')) {
      for (const kind of ['access_key', 'secret_key'] as const) {
        const text = isMapping(credential) ? credential[kind] : undefined
        if (typeof text === 'string')
          yield { path: ['repositories', name, 's3', 'credentials', role, kind], text, kind }
      }
    }
  }
}

function entries(parent: unknown, key: string): readonly (readonly [string, unknown])[] {
  const mapping = isMapping(parent) ? parent[key] : undefined
  return isMapping(mapping) ? Object.entries(mapping) : []
}
