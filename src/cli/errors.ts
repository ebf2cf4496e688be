/** An error as people and scripts read it: always on stderr, always with the next thing to type. */
import type { CoffreError } from '../errors.ts'
import type { Terminal } from './terminal.ts'
import { visible } from './visible.ts'

export interface ErrorDocument {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly hint: string
    readonly exitStatus: number
  }
}

export function errorDocument({ code, message, hint, exitStatus }: CoffreError): ErrorDocument {
  return { error: { code, message, hint, exitStatus } }
}

export function sayError(terminal: Terminal, error: CoffreError, before = ''): void {
  terminal.sayOver?.('')
  terminal.say(`coffre: error: ${before}${visible(error.message)}`)
  terminal.say(`coffre: hint: ${visible(error.hint)}`)
}
