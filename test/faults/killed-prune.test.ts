/**
 * prune, killed between any two of its steps: what is left is whole backups and debris, none of those that stay has lost
 * anything, and the next run finishes.
 */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { artifactKey, manifestOf } from '../../src/repository/layout.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { DirectoryStore } from '../../src/storage/directory.ts'
import type { ObjectStore, StoreOptions } from '../../src/storage/object-store.ts'
import { collect, keysOf } from '../contract/contract-materials.ts'
import { MemoryStore } from '../contract/memory-store.ts'
import { addBackup, foundRepository, pruneAt } from '../support/pruning.ts'
import { filesBelow } from '../support/repository-folder.ts'

const nights = 11

/** Lets so many changes through; from then on the process is gone, and so is its every word to the store. */
function dyingAfter(store: ObjectStore, steps: number): ObjectStore & { readonly died: boolean } {
  let left = steps
  const step = (): void => {
    if (left === 0) throw new Error('killed')
    left -= 1
  }
  return {
    description: store.description,
    get died() {
      return left === 0
    },
    put: (key, body, options) => (step(), store.put(key, body, options)),
    create: (key: string, bytes: Buffer, options?: StoreOptions) => (
      step(), store.create(key, bytes, options)
    ),
    delete: (key, options) => (step(), store.delete(key, options)),
    sweepUnfinished: (before, options) => (step(), store.sweepUnfinished(before, options)),
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (folder, options) => store.list(folder, options),
  }
}

async function assertWhole(repository: Repository): Promise<readonly string[]> {
  const keys = new Set(await keysOf(repository.store, 'backups/'))
  const ids: string[] = []
  for (const key of keys) {
    const ref = manifestOf(key)
    if (ref === undefined) continue
    ids.push(ref.id)
    const { manifest } = await repository.read(ref)
    for (const { name } of manifest.artifacts)
      assert.ok(keys.has(artifactKey(ref, name)), `${ref.id} lost ${name}`)
  }
  return ids
}

const base = new MemoryStore()
const made = await foundRepository(base)
for (let night = 0; night < nights; night += 1) await addBackup(made.repository, night)

async function copyBase(store: ObjectStore): Promise<void> {
  for (const key of await keysOf(base)) await store.create(key, await collect(base.get(key)))
}

/** Every `stride`th of its changes. */
async function killEverywhere(
  stride: number,

  make: () => Promise<{ store: ObjectStore; end: () => Promise<void> }>,
): Promise<number> {
  for (let steps = 0; ; steps += stride) {
    const { store, end } = await make()
    try {
      await copyBase(store)
      const repository = await made.through(store)
      const plan = await pruneAt(repository, nights - 1, { dryRun: true })
      const dying = dyingAfter(store, steps)
      const whole = await pruneAt(await made.through(dying), nights - 1).then(
        () => !dying.died,
        () => false,
      )
      const left = await assertWhole(repository)
      for (const { id } of plan.keep) assert.ok(left.includes(id), `after ${steps} steps ${id} is gone`)
      // An hour later its lease has expired.
      await pruneAt(repository, nights - 1 + 1 / 24)
      const ids = await assertWhole(repository)
      assert.deepEqual(ids.toSorted(), plan.keep.map(({ id }) => id).toSorted(), `after ${steps} steps`)
      for (const key of await keysOf(store, 'backups/'))
        assert.ok(
          ids.some((id) => key.includes(id)),
          `after ${steps} steps ${key} is left`,
        )
      if (whole) return steps
    } finally {
      await end()
    }
  }
}

test('in memory, killed before each of its changes', async (t) => {
  const steps = await killEverywhere(1, async () => ({
    store: new MemoryStore(),
    end: async () => undefined,
  }))
  t.diagnostic(`${steps} steps`)
  assert.ok(steps > 20)
})

test('in a folder, killed before every sixth of its changes; no empty folder and no partial file is left', async (t) => {
  const steps = await killEverywhere(6, async () => {
    const root = mkdtempSync(join(tmpdir(), 'coffre-prune-'))
    return {
      store: new DirectoryStore({ root }),
      end: async () => {
        assert.deepEqual(
          (await filesBelow(root)).filter((path) => path.startsWith('.partial/')),
          [],
        )
        await rm(root, { recursive: true })
      },
    }
  })
  t.diagnostic(`${steps} steps`)
})
