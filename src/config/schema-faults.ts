/**
 * What the schema found, in coffre's words: which key, what it must be, and an example. Values are never shown.
 */
import { z } from 'zod'
import { type Fault, nearest, shownKey } from './problem.ts'
import { isMapping } from './rules.ts'
import { configSchema, laterKeys } from './schema.ts'

const notAvailable = 'is not available in this version of coffre'

export function schemaFaults(value: unknown): readonly Fault[] {
  const parsed = configSchema.safeParse(value)
  return parsed.success ? [] : parsed.error.issues.flatMap((issue) => faultsOf(issue, value))
}

function faultsOf(issue: z.core.$ZodIssue, root: unknown): readonly Fault[] {
  const { path } = issue
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key))
  if (issue.code === 'custom') {
    const hint: unknown = issue.params?.['hint']
    return [{ path, message: issue.message, hint: typeof hint === 'string' ? hint : '' }]
  }
  if (issue.code === 'invalid_key') {
    const message = 'a name is made of small letters, digits, - and _, at most 63'
    return [{ path, message, hint: 'for example main' }]
  }
  return [wrongValue(path, schemaAt(path), valueAt(root, path))]
}

function unknownKey(path: readonly PropertyKey[], key: string): Fault {
  const schema = schemaAt(path)
  const full = [...path, key]
  if (schema !== undefined && laterKeys.get(schema)?.keys.includes(key) === true) {
    return { path: full, message: notAvailable, hint: 'remove it' }
  }
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
  const meant = nearest(key, known)
  const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`
  return { path: full, message: 'unknown key', hint }
}

function wrongValue(
  path: readonly PropertyKey[],
  schema: z.core.$ZodType | undefined,
  value: unknown,
): Fault {
  const { description = 'something else', examples } = meta(schema)
  const key = path.findLast((step) => typeof step === 'string')
  const label = key === undefined || typeof path.at(-1) === 'number' ? '' : `${shownKey(key)}: `
  const example = Array.isArray(examples) ? `${label}${flow(examples[0])}` : undefined
  if (path.length === 0 && value === null)
    return { path, message: 'the file is empty', hint: 'write sources, repositories, trust and recipients' }
  if (value === undefined) return { path, message: 'is missing', hint: `add ${example ?? description}` }
  if (value === null)
    return { path, message: 'is empty', hint: `write ${example ?? description}, or remove it` }
  const message = `must be ${description}`
  if (typeof value === 'string') {
    const later = schema === undefined ? undefined : laterKeys.get(schema)
    if (later?.keys.includes(value) === true)
      return { path, message: `${value} ${notAvailable}`, hint: `write ${example}` }
    const meant = schema instanceof z.ZodEnum ? nearest(value, schema.options.map(String)) : undefined
    if (meant !== undefined) return { path, message, hint: `did you mean ${meant}?` }
  } else if (schema instanceof z.ZodString && (typeof value === 'number' || typeof value === 'boolean')) {
    return { path, message, hint: 'put it in quotes' }
  }
  return {
    path,
    message,
    hint: example === undefined ? 'see coffre config schema' : `for example ${example}`,
  }
}

function flow(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(flow).join(', ')}]` : String(value)
}

/** The schema of what stands at a path, without its wrappers. */
function schemaAt(path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  let schema: z.core.$ZodType | undefined = configSchema
  for (const step of path) {
    schema = unwrapped(schema)
    if (schema instanceof z.ZodObject)
      schema = Object.hasOwn(schema.shape, step) ? schema.shape[String(step)] : undefined
    else if (schema instanceof z.ZodRecord) schema = schema.valueType
    else if (schema instanceof z.ZodArray) schema = schema.element
    else return undefined
  }
  return unwrapped(schema)
}

function unwrapped(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let inner = schema
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault)
    inner = inner.unwrap()
  return inner
}

function meta(schema: z.core.$ZodType | undefined): z.core.GlobalMeta {
  return (schema === undefined ? undefined : z.globalRegistry.get(schema)) ?? {}
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)]
    else value = isMapping(value) && Object.hasOwn(value, step) ? value[String(step)] : undefined
  }
  return value
}
