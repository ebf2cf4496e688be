/** `SET name = value` as ALTER DATABASE and ALTER ROLE take it, out of what pg_db_role_setting holds (and pg_dumpall writes so). */
import { quoteIdentifier, quoteLiteral } from './quoting.ts'

export function settingClause({ name, value }: { readonly name: string; readonly value: string }): string {
  return `SET ${settingName(name)} = ${settingValue(name, value)}`
}

/** `name` or `extension.name`; quoting them as one identifier would be another setting. */
function settingName(name: string): string {
  return name
    .split('.')
    .map((part) => quoteIdentifier(part))
    .join('.')
}

/** Settings that are lists are stored as quoted lists already, and quoting them once more would make them one item. */
const listSettings = new Set([
  'search_path',
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
  'unix_socket_directories',
])

function settingValue(name: string, value: string): string {
  if (!listSettings.has(name.toLowerCase())) return quoteLiteral(value)
  const items = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)]
    .map(([whole, quoted, plain]) =>
      whole === '' ? undefined : (quoted?.replaceAll('""', '"') ?? plain?.trim() ?? ''),
    )
    .filter((item) => item !== undefined)
  return items.length === 0 ? "''" : items.map((item) => quoteLiteral(item)).join(', ')
}
