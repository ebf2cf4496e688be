/**
 * A private GnuPG home for the tests of src/openpgp: real gpg and gpgv, an agent of its own, and nothing of it left
 * afterwards. The path is short because the agent's socket lives in it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Ran {
  readonly exitStatus: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export class GnupgHome {
  readonly path = mkdtempSync(join(tmpdir(), 'cgpg-'))

  /** Runs gpg in this home, in batch mode, without looking for keys anywhere else. */
  run(args: readonly string[], input: Uint8Array | string = ''): Ran {
    return run('gpg', ['--homedir', this.path, '--batch', '--quiet', '--no-auto-key-locate', ...args], input)
  }

  /** Runs gpg and expects it to succeed; returns what it printed. */
  succeed(args: readonly string[], input: Uint8Array | string = ''): Buffer {
    const ran = this.run(args, input)
    assert.equal(ran.exitStatus, 0, ran.stderr)
    return ran.stdout
  }

  /** Generates a key from the parameter lines of `gpg --generate-key --batch`; returns its fingerprint. */
  generateKey(parameters: readonly string[]): string {
    const status = this.succeed(['--status-fd', '1', '--generate-key'], `${parameters.join('\n')}\n%commit\n`)
    const fingerprint = /KEY_CREATED \S+ ([0-9A-F]{40})/.exec(status.toString())?.[1]
    assert.ok(fingerprint, 'gpg says which key it made')
    return fingerprint
  }

  importKey(key: string | Uint8Array): void {
    this.succeed(['--import'], key)
  }

  exportPublic(fingerprint: string): Buffer {
    return this.succeed(['--armor', '--export', fingerprint])
  }

  /** The secret key as people export it; with a passphrase if it has one. */
  exportSecret(fingerprint: string, passphrase = '', what = '--export-secret-keys'): Buffer {
    return this.succeed([
      '--pinentry-mode',
      'loopback',
      '--passphrase',
      passphrase,
      '--armor',
      what,
      fingerprint,
    ])
  }

  /** The fingerprint of a key's only encryption subkey, by gpg's own listing. */
  encryptionSubkey(fingerprint: string): string {
    const lines = this.succeed(['--with-colons', '--list-keys', fingerprint]).toString().split('\n')
    const at = lines.findIndex((line) => line.startsWith('sub:') && line.split(':')[11]?.includes('e'))
    return lines[at + 1]?.split(':')[9] ?? ''
  }

  /** Runs gpgv with one public key against a detached signature. */
  gpgv(publicKey: string | Uint8Array, signature: string, signed: Uint8Array): Ran {
    const keyring = join(this.path, 'trusted.gpg')
    const signatureFile = join(this.path, 'signature.asc')
    writeFileSync(keyring, run('gpg', ['--homedir', this.path, '--batch', '--dearmor'], publicKey).stdout)
    writeFileSync(signatureFile, signature)
    return run('gpgv', ['--homedir', this.path, '--keyring', keyring, signatureFile, '-'], signed)
  }

  /** Ends this home's agent: the next one knows no passphrase, and reads its settings anew. */
  forget(): void {
    run('gpgconf', ['--homedir', this.path, '--kill', 'all'], '')
  }

  /** Removes one secret from the agent's folder, by its keygrip; the public key stays. */
  dropSecret(keygrip: string): void {
    rmSync(join(this.path, 'private-keys-v1.d', `${keygrip}.key`))
    this.forget()
  }

  /** Ends this home's agent and removes everything. */
  close(): void {
    run('gpgconf', ['--homedir', this.path, '--kill', 'all'], '')
    rmSync(this.path, { recursive: true, force: true, maxRetries: 3 })
  }
}

function run(program: string, args: readonly string[], input: Uint8Array | string): Ran {
  const ran = spawnSync(program, args, { input, maxBuffer: 64 * 1024 * 1024 })
  if (ran.error !== undefined) throw ran.error
  return { exitStatus: ran.status, stdout: ran.stdout, stderr: ran.stderr.toString() }
}

/** The parameter lines of an unprotected Ed25519 key with a Cv25519 subkey. */
export const ed25519Parameters: readonly string[] = [
  '%no-protection',
  'Key-Type: EDDSA',
  'Key-Curve: ed25519',
  'Key-Usage: sign',
  'Subkey-Type: ECDH',
  'Subkey-Curve: cv25519',
  'Subkey-Usage: encrypt',
  'Name-Real: Ana',
  'Name-Email: ana@example.org',
  'Expire-Date: 0',
]
