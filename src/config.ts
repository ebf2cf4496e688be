/**
 * The configuration's front door: text in, a checked Config or every problem at once out. It reads no file and no
 * environment of its own, and no message it writes holds a value of the configuration, so none holds a secret.
 */
import { CoffreError } from './errors.ts'
import { type Fault, formatProblem, type Problem, shownPath } from './config/problem.ts'
import { resolveConfig } from './config/resolve.ts'
import { configSchema } from './config/schema.ts'
import { schemaFaults } from './config/schema-faults.ts'
import type { Config } from './config/settings.ts'
import { type SecretContext, secretFaults } from './config/written-secret.ts'
import { readYaml } from './config/yaml-document.ts'

export { configJsonSchema } from './config/schema.ts'
export type { Problem } from './config/problem.ts'
export type { Config, RepositoryConfig, S3Config, SourceConfig } from './config/settings.ts'

/**
 * `file`: the configuration's path, absolute; relative paths inside start from its folder. `environment`: where
 * `env:NAME` and CREDENTIALS_DIRECTORY are looked up. `readableByOthers`: whether its mode lets others read it.
 */
export type ConfigOptions = SecretContext

export type ConfigCheck =
  | { readonly ok: true; readonly config: Config }
  /** At least one, in the order of the lines. */
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Never throws. */
export function checkConfig(text: string, options: ConfigOptions): ConfigCheck {
  const document = readYaml(text)
  const { value } = document
  const located = ({ path, message, hint }: Fault): Problem => ({
    line: document.lineAt(path),
    path: shownPath(path),
    message,
    hint,
  })
  const faults = value === undefined ? [] : [...schemaFaults(value), ...secretFaults(value, options)]
  const problems = [...document.problems, ...faults.map(located)]
  if (problems.length > 0) return { ok: false, problems: problems.toSorted((a, b) => a.line - b.line) }
  return { ok: true, config: resolveConfig(configSchema.parse(value), options) }
}

/** Throws ERR_CONFIG; its message is one line `FILE:LINE: key.path: what is wrong; the fix` for every problem. */
export function parseConfig(text: string, options: ConfigOptions): Config {
  const check = checkConfig(text, options)
  if (check.ok) return check.config
  const message = check.problems.map((problem) => formatProblem(options.file, problem)).join('\n')
  throw new CoffreError('ERR_CONFIG', message, {
    hint: `correct ${options.file}, then run the command again`,
  })
}
