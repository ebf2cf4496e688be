/**
 * Text that must not be seen: a password, a storage key. It shows itself only to `reveal`; printed, inspected,
 * serialized or put into a message it is `[secret]`. Memory is not wiped: strings are the runtime's.
 * Reading the files that a SecretSource names is left to whoever uses it.
 */

const shown = '[secret]'

export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself. Call it where the text is used, not before. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return shown
  }

  toJSON(): string {
    return shown
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return shown
  }
}

/** Where a secret comes from. Of `paths` (absolute) the first file that exists is the one. */
export type SecretSource =
  | { readonly kind: 'inline'; readonly secret: Secret }
  | { readonly kind: 'environment'; readonly name: string; readonly secret: Secret }
  | { readonly kind: 'file'; readonly paths: readonly string[] }

/** A storage credential of one role. */
export interface SecretPair {
  readonly accessKey: SecretSource
  readonly secretKey: SecretSource
}
