/**
 * Names and values on their way into SQL text. Nothing from a catalog, an inventory or a command line reaches a
 * statement except through here. Assumes standard_conforming_strings = on, which every session sets first.
 */
import { CoffreError } from '../errors.ts'

function assertNoZeroByte(text: string): void {
  if (text.includes('\0'))
    throw new CoffreError('ERR_FORMAT', 'a name or value with a zero byte cannot be in PostgreSQL')
}

/** SQL identifier, always quoted (PostgreSQL documentation, 4.1.1 Identifiers and Key Words). */
export function quoteIdentifier(name: string): string {
  assertNoZeroByte(name)
  return `"${name.replaceAll('"', '""')}"`
}

/** SQL string constant. A backslash makes it an E'' constant, as quote_literal() does. */
export function quoteLiteral(text: string): string {
  assertNoZeroByte(text)
  const quoted = text.replaceAll("'", "''")
  return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
}
