/**
 * Compiles src/model/row-digest.wat into src/model/row-digest-wasm.ts, the module as a base64 string, so that
 * coffre runs from its sources alone. `npm run build:wasm` writes it; with `--check` it is compared instead, and
 * a difference is exit status 1. The same text always gives the same bytes: wabt's version is pinned.
 */
import { readFile, writeFile } from 'node:fs/promises'
import wabt from 'wabt'

const source = new URL('../src/model/row-digest.wat', import.meta.url)
const output = new URL('../src/model/row-digest-wasm.ts', import.meta.url)

async function compile(): Promise<string> {
  const compiler = await wabt()
  const text = await readFile(source, 'utf8')
  const parsed = compiler.parseWat('row-digest.wat', text, { simd: true, bulk_memory: true })
  parsed.validate()
  const { buffer } = parsed.toBinary({ write_debug_names: false })
  parsed.destroy()
  return `/**
 * src/model/row-digest.wat, compiled: a WebAssembly module in base64.
 * Made by \`npm run build:wasm\`, never by hand; a test compares it with its source.
 */
export const rowDigestWasm =
  '${Buffer.from(buffer).toString('base64')}'
`
}

const made = await compile()
if (process.argv.includes('--check')) {
  const committed = await readFile(output, 'utf8').catch(() => '')
  if (committed !== made) {
    console.error('src/model/row-digest-wasm.ts does not match row-digest.wat: run npm run build:wasm')
    process.exitCode = 1
  }
} else {
  await writeFile(output, made)
}
