/**
 * What released versions wrote is read by this one (test/vectors/README.md): every vector is opened, verified, decrypted and
 * counted through the code, without any PostgreSQL; and every damage done to one ends with the error it must end with.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { asCoffreError, CoffreError } from '../../src/errors.ts'
import { parseBackupId } from '../../src/model/backup-id.ts'
import type { Inventory } from '../../src/model/inventory.ts'
import { RowDigester } from '../../src/model/row-digest.ts'
import { readIdentity, type Identity } from '../../src/openpgp/keys.ts'
import type { Context } from '../../src/operations/context.ts'
import { rowsOf } from '../../src/operations/load.ts'
import { OpenedBackup } from '../../src/operations/opened-backup.ts'
import { verify } from '../../src/operations/verify.ts'
import { RowBlockReader } from '../../src/pipeline/row-blocks.ts'
import { setSequenceStatement } from '../../src/postgres/row-statements.ts'
import { Repository } from '../../src/repository/repository.ts'
import { DirectoryStore } from '../../src/storage/directory.ts'
import { referenceDigest } from '../support/row-digest-reference.ts'
import {
  damagedRepository,
  readDamages,
  readVector,
  vectorNames,
  type Damage,
  type Stage,
  type Vector,
} from '../support/vectors.ts'

const vectors = vectorNames()

const context: Context = {
  now: () => new Date(),
  signal: new AbortController().signal,
  emit: () => undefined,
  environment: {},
  holder: { name: 'test', process: undefined, isGone: async () => false },
  version: 'test',
  cores: 1,
}

async function identityOf(
  { folder }: Vector,
  { file, passphrase }: Vector['identities'][number],
): Promise<Identity> {
  const secret = readFileSync(join(folder, file))
  return await readIdentity(secret, passphrase === '' ? undefined : Buffer.from(passphrase))
}

async function openBackup(
  path: string,
  vector: Vector,
  id: string,
  identity: Identity,
): Promise<OpenedBackup> {
  const repository = await Repository.open(new DirectoryStore({ root: path }), vector.root)
  const backup = await repository.read({ source: vector.source, id: parseBackupId(id) })
  return new OpenedBackup(repository, backup, identity, context.signal)
}

async function gather(bytes: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of bytes) parts.push(part)
  return Buffer.concat(parts)
}

/** Reads every block of every rows artifact by the inventory, and holds its rows and digest against it. */
async function readRows(opened: OpenedBackup, inventory: Inventory): Promise<Map<number, Buffer[]>> {
  const blocks = new Map<number, Buffer[]>()
  for (const artifact of inventory.rowArtifacts) {
    const reader = new RowBlockReader(opened.plain(opened.artifact(artifact.name)))
    await reader.skipPreamble()
    for (const { table, bytes, rows, digest } of artifact.blocks) {
      const data = await gather(reader.block(rowsOf(inventory, table), bytes))
      const digester = new RowDigester({ capacityBytes: 4 * 1024 * 1024 })
      digester.buffer.set(data)
      digester.scan(0, data.length)
      assert.deepEqual(digester.finish(), { rows, digest })
      blocks.set(table, [...(blocks.get(table) ?? []), data])
    }
    await reader.drain()
  }
  return blocks
}

/** Everything a restore reads. */
async function useAll(opened: OpenedBackup): Promise<Map<number, Buffer[]>> {
  const inventory = await opened.inventory()
  const blocks = await readRows(opened, inventory)
  for (const artifact of opened.backup.manifest.artifacts) await gather(opened.plain(artifact))
  return blocks
}

test('there are vectors, and none was lost', () => {
  assert.deepEqual(vectors, ['v1', 'v1.1'])
})

for (const name of vectors) {
  const vector = readVector(name)
  const path = join(vector.folder, 'repository')

  test(`${name}: each of its identities opens every artifact, to the very bytes that stock programs found`, async () => {
    assert.equal(vector.identities.length, 2)
    for (const one of vector.identities) {
      const identity = await identityOf(vector, one)
      assert.equal(identity.fingerprint, one.fingerprint)
      for (const { id, artifacts } of vector.backups) {
        const opened = await openBackup(path, vector, id, identity)
        assert.deepEqual(
          opened.backup.manifest.artifacts.map((artifact) => artifact.name),
          artifacts.map((artifact) => artifact.name),
        )
        for (const { name: artifact, plainBytes, plainSha256 } of artifacts) {
          const plain = await gather(opened.plain(opened.artifact(artifact)))
          assert.equal(plain.length, plainBytes, artifact)
          assert.equal(createHash('sha256').update(plain).digest('hex'), plainSha256, artifact)
        }
      }
    }
  })

  test(`${name}: its rows are those of the inventory, by this digest and by its definition`, async () => {
    const [one] = vector.identities
    assert.ok(one)
    const identity = await identityOf(vector, one)
    for (const { id, tables, sequences, largeObjects } of vector.backups) {
      const opened = await openBackup(path, vector, id, identity)
      const inventory = await opened.inventory()
      // What a later coffre adds to a table's description is not in an older vector.
      assert.partialDeepStrictEqual(inventory.tables, tables)
      assert.equal(inventory.tables.length, tables.length)
      assert.deepEqual(inventory.sequences, sequences)
      assert.deepEqual(inventory.largeObjects, largeObjects)
      const blocks = await readRows(opened, inventory)
      assert.deepEqual(
        [...blocks.keys()].toSorted((a, b) => a - b),
        tables.map((_, index) => index),
      )
      for (const [index, { rows, digest }] of tables.entries()) {
        const lines = Buffer.concat(blocks.get(index) ?? [])
          .toString('latin1')
          .split('\n')
          .slice(0, -1)
        assert.deepEqual(referenceDigest(lines.map((line) => Buffer.from(line, 'latin1'))), { rows, digest })
      }
      const last = inventory.rowArtifacts.at(-1)
      assert.equal(last?.sequences, true)
      const text = (await gather(opened.plain(opened.artifact(last.name)))).toString()
      assert.ok(
        text.endsWith(
          `\\.\n\n${inventory.sequences.map((sequence) => `${setSequenceStatement(sequence)};\n`).join('')}`,
        ),
      )
    }
  })

  test(`${name}: all of it verifies`, async () => {
    const repository = await Repository.open(new DirectoryStore({ root: path }), vector.root)
    const pins = vector.identities.map(({ fingerprint }) => fingerprint)
    const result = await verify(context, { repository, ids: undefined, source: undefined, pins })
    assert.deepEqual(
      result.backups.map(({ id, problems }) => ({ id, problems })),
      vector.backups.map(({ id }) => ({ id, problems: [] })),
    )
    assert.ok(result.ok)
  })

  for (const damage of readDamages(vector)) {
    test(`${name}, damaged: ${damage.name}`, async () => {
      assert.ok(damage.change.length > 0 && Object.keys(damage.expect).length > 0)
      assert.deepEqual(await outcome(vector, damage), damage.expect)
    })
  }

  test(`${name}: it is small, and its keys are named as test keys`, () => {
    const files = readdirSync(vector.folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    const sizeBytes = files.reduce(
      (sum, { parentPath, name: file }) => sum + statSync(join(parentPath, file)).size,
      0,
    )
    assert.ok(sizeBytes < 300_000, `${sizeBytes} bytes`)
    for (const { name: file } of files) if (file.endsWith('secret.asc')) assert.match(file, /^TEST-KEY-/)
  })
}

/** What each stage ended with; a stage that needs an earlier one, which failed, is not tried. */
async function outcome(vector: Vector, damage: Damage): Promise<Partial<Record<Stage, string>>> {
  using damaged = await damagedRepository(vector, damage)
  const ended: Partial<Record<Stage, string>> = {}
  const attempt = async <T>(stage: Stage, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (error) {
      ended[stage] = asCoffreError(error).code
      return undefined
    }
  }
  const repository = await attempt('open', () =>
    Repository.open(new DirectoryStore({ root: damaged.path }), vector.root),
  )
  if (repository === undefined) return ended
  // A keyring that cannot be believed is told, and left out; nothing new would be sealed beside it.
  await attempt('open', async () => {
    for (const error of repository.trust.broken) throw error
  })
  if (ended['open'] !== undefined) return ended
  const backup = await attempt('read', () =>
    repository.read({ source: vector.source, id: parseBackupId(damaged.id) }),
  )
  if (backup === undefined) return ended
  await attempt('verify', async () => {
    const pins = vector.identities.map(({ fingerprint }) => fingerprint)
    const { ok, backups } = await verify(context, { repository, ids: [damaged.id], source: undefined, pins })
    const [problem] = backups.flatMap(({ problems }) => problems)
    assert.equal(ok, problem === undefined)
    if (problem !== undefined) throw new CoffreError(problem.code, problem.message)
  })
  await attempt('use', async () => {
    const [one] = vector.identities
    assert.ok(one)
    await useAll(new OpenedBackup(repository, backup, await identityOf(vector, one), context.signal))
  })
  return ended
}
