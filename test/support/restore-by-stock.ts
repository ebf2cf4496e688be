/** A backup's own RESTORE.md, followed to its end by stock programs. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Workshop } from './coffre.ts'
import { socketFolder } from './postgres.ts'
import { shellBlocks, StockMachine } from './stock-procedure.ts'

export interface StockRestore {
  readonly source: string
  readonly id: unknown
  /** The new database's name. */
  readonly database: string
  /** As `makeDatabase` takes it; default the tests' own server. */
  readonly server?: string
}

/** Fails the test unless every step ends well. Returns what was said. */
export async function restoreByStock(
  workshop: Workshop,
  { source, id, database, server }: StockRestore,
): Promise<string> {
  const folder = join(workshop.folder, 'repository/backups', source, String(id))
  using machine = new StockMachine()
  machine.gnupg.importKey(readFileSync(workshop.identity()))
  const { status, said } = await machine.run(shellBlocks(readFileSync(join(folder, 'RESTORE.md'), 'utf8')), {
    cwd: folder,
    variables: { PGHOST: socketFolder(server), PGUSER: 'postgres', DATABASE: database },
  })
  rmSync(join(folder, 'plain'), { recursive: true, force: true })
  assert.equal(status, 0, said)
  assert.match(said, /^OK: step 9$/m)
  return said
}
