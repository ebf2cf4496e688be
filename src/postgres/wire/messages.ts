/** PostgreSQL's messages, version 3.0 (PostgreSQL documentation, 55.7 Message Formats): those that coffre writes, and what it reads in those it gets. */
import { CoffreError } from '../../errors.ts'
import { classifyRefusal } from '../server-message.ts'

export interface Message {
  /** One letter; the documentation's. */
  readonly type: string
  /** Without type and length. */
  readonly body: Buffer
}

export function message(type: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** The one message without a type. */
export function startupMessage(parameters: Readonly<Record<string, string>>): Buffer {
  const words = Object.entries(parameters).flatMap(([name, value]) => [name, value])
  if (words.some((word) => word.includes('\0')))
    throw new CoffreError('ERR_INTERNAL', 'a connection parameter holds a zero byte')
  const body = Buffer.from(`${words.join('\0')}\0\0`)
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8)
  head.writeInt32BE(3 << 16, 4)
  return Buffer.concat([head, body])
}

export function queryMessage(sql: string): Buffer {
  if (sql.includes('\0')) throw new CoffreError('ERR_INTERNAL', 'a statement holds a zero byte')
  return message('Q', `${sql}\0`)
}

/** The head of a CopyData message whose body follows. */
export function copyDataHead(lengthBytes: number): Buffer {
  const head = Buffer.alloc(5)
  head.write('d', 'latin1')
  head.writeInt32BE(lengthBytes + 4, 1)
  return head
}

/** Of an ErrorResponse; DETAIL and CONTEXT, which quote rows, are left unread (55.8 Error and Notice Message Fields). */
export function refusal(body: Buffer): CoffreError {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field.charAt(0), field.slice(1)] as const),
  )
  const text = (fields.get('M') ?? 'it said nothing').split('\n')[0] ?? ''
  return classifyRefusal(`${fields.get('V') ?? 'ERROR'}:  ${fields.get('C') ?? 'XX000'}: ${text}`)
}
