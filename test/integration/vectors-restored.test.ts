/**
 * What released versions wrote is restored (test/vectors/README.md): by this coffre, and by the vector's own RESTORE.md as it
 * was written then. Both must end with the same database.
 */
import assert from 'node:assert/strict'
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { parseKeyring } from '../../src/model/keyring.ts'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { runCoffre } from '../support/coffre.ts'
import { startOwnServer } from '../support/own-server.ts'
import { sql } from '../support/postgres.ts'
import { page, shellBlocks, StockMachine, workFolder } from '../support/stock-procedure.ts'
import { readVector, vectorNames, type Vector } from '../support/vectors.ts'

for (const name of vectorNames()) {
  test(`the format vector ${name} is restored by this coffre, and by its own old RESTORE.md, to the same databases`, async () => {
    await using elsewhere = await startOwnServer()
    const vector = readVector(name)
    using work = workFolder()
    const repository = join(work.path, 'repository')
    cpSync(join(vector.folder, 'repository'), repository, { recursive: true })
    const { file = '', fingerprint = '' } = vector.identities[0] ?? {}
    const identity = join(vector.folder, file)
    writeConfiguration(work.path, vector, elsewhere.socketFolder)
    using machine = new StockMachine()
    machine.gnupg.importKey(readFileSync(identity))
    assert.ok(fingerprint)
    for (const { id, name: backup } of vector.backups) {
      const byCoffre = `by_coffre_${backup}`
      const url = `postgres://postgres@/${byCoffre}?host=${encodeURIComponent(elsewhere.socketFolder)}`
      const ran = await runCoffre(['restore', id, '--to', url, '--identity', identity], { cwd: work.path })
      assert.equal(ran.status, 0, ran.stderr)
      const DATABASE = `by_hand_${backup}`
      const guide = readFileSync(join(repository, 'backups', vector.source, id, 'RESTORE.md'), 'utf8')
      const variables = {
        REPOSITORY: repository,
        SOURCE: vector.source,
        BACKUP: id,
        ROOT: vector.root,
        DATABASE,
      }
      const { status, said } = await machine.run(
        [...shellBlocks(page), 'cd "$FOLDER"', ...shellBlocks(guide)],
        {
          cwd: work.path,
          variables: { ...variables, PGHOST: elsewhere.socketFolder, PGUSER: 'postgres' },
        },
      )
      assert.equal(status, 0, said)
      assert.match(said, /^OK: step 9$/m)
      await assertSameDatabase(
        `${elsewhere.server} dbname=${byCoffre}`,
        `${elsewhere.server} dbname=${DATABASE}`,
      )
      const rows =
        backup === 'latin1'
          ? 'SELECT count(*), max("größe") FROM "fälle"'
          : 'SELECT count(*), max(n) FROM widths'
      const expected = backup === 'latin1' ? '3|ÿ\\' : '202|1300000'
      assert.equal(
        await sql(DATABASE, `SET client_encoding = 'UTF8'; ${rows}`, [], elsewhere.server),
        expected,
      )
    }
  })
}

/** A configuration for reading a vector: its recipients are taken from its keyring. */
function writeConfiguration(folder: string, vector: Vector, host: string): void {
  const keyring = parseKeyring(readFileSync(join(vector.folder, 'repository/keyrings/0001.json')))
  const recipients = keyring.recipients.map(({ fingerprint, publicKey }, index) => {
    writeFileSync(join(folder, `recipient-${index}.asc`), publicKey)
    return { file: `recipient-${index}.asc`, fingerprint }
  })
  cpSync(join(vector.folder, 'keys/TEST-KEY-host-secret.asc'), join(folder, 'host.asc'))
  chmodSync(join(folder, 'host.asc'), 0o600)
  const config = {
    sources: { [vector.source]: { url: `postgres://postgres@/postgres?host=${encodeURIComponent(host)}` } },
    repositories: { main: { directory: 'repository' } },
    trust: { root: vector.root },
    recipients,
    signing: { key_file: 'host.asc', role: 'host' },
  }
  writeFileSync(join(folder, 'coffre.yaml'), stringify(config), { mode: 0o600 })
}
