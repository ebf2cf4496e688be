/** Names and messages come from outside: no control character of theirs reaches a terminal. Newlines stay. */
export function visible(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, escape)
}

/** The same on one line. */
export function visibleLine(text: string): string {
  return text.replace(/\p{Cc}/gu, escape)
}

const short: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** Also those above ASCII, with which an eight-bit terminal can be told things. */
function escape(character: string): string {
  return short.get(character) ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
