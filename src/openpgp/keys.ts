/**
 * The keys coffre works with, under one name for the rest of the program: who can read backups (recipients), who
 * vouches for them (signing keys), who opens them (identities), and how new ones are made.
 */
export { generateKey } from './generate-key.ts'
export type { GeneratedKey, KeyRequest } from './generate-key.ts'
export { readGpgIdentity } from './gpg-identity.ts'
export { protectAgain } from './protect-key.ts'
export { readRecipient, recipientCreatedAt } from './recipient.ts'
export type { Recipient } from './recipient.ts'
export { isProtected, readIdentity, readSigningKey } from './secret-key.ts'
export type { Identity, SigningKey } from './secret-key.ts'
