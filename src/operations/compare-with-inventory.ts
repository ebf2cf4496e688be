/**
 * The judgement at the end of every restore: each table's rows and RowDigest, each sequence's value and the large
 * objects' content, read back out of the database and held against the inventory.
 */
import type { InventoryTable } from '../model/inventory.ts'
import { addRowDigests, emptyRowDigest, type RowDigest } from '../model/row-digest.ts'
import { countLargeObjects, readSequences, readTables } from '../postgres/catalog.ts'
import { planRows } from '../postgres/plan.ts'
import type { PsqlSession } from '../postgres/psql-session.ts'
import { copyLargeObjects, copyOutStatement } from '../postgres/row-statements.ts'
import { targetConnection, type LoadTarget } from './load.ts'

const taskBytes = 64 * 1024 * 1024

/** What differs, in words; empty when everything is equal. */
export async function compareWithInventory(
  target: LoadTarget,
  session: PsqlSession,
): Promise<readonly string[]> {
  const { inventory } = target
  const named = (table: { schema: string; name: string }): string =>
    JSON.stringify([table.schema, table.name])
  const expected = new Map(inventory.tables.map((table) => [named(table), table]))
  const present = (await readTables(session)).filter(({ kind }) => kind === 'r')
  const digests = await digestTables(target, present, (table) => expected.get(named(table)))
  const differences = present
    .filter((table) => !expected.has(named(table)))
    .map((table) => `table ${named(table)} was not in the snapshot`)
  for (const [key, table] of expected) {
    const found = digests.get(key)
    if (found === undefined) differences.push(`table ${key} is missing`)
    else if (found.rows !== table.rows)
      differences.push(`table ${key} has ${found.rows} rows, the snapshot had ${table.rows}`)
    else if (found.digest !== table.digest)
      differences.push(`table ${key} has the right number of rows, but other content`)
  }
  return [
    ...differences,
    ...(await compareSequences(target, session)),
    ...(await compareLargeObjects(target, session)),
  ]

  async function digestTables(
    { lanes, context }: LoadTarget,
    tables: Awaited<ReturnType<typeof readTables>>,
    known: (table: { schema: string; name: string }) => InventoryTable | undefined,
  ): Promise<Map<string, RowDigest>> {
    const sums = new Map<string, RowDigest>()
    const tasks = planRows(tables, { targetBytes: taskBytes })
    const totalBytes = tasks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    let doneBytes = 0
    await lanes.each(tasks, async (run, task) => {
      const blocks = task.blocks.flatMap(({ table, pages }) => {
        const found = tables[table]
        const wanted = found === undefined ? undefined : known(found)
        // By the columns and the condition of the inventory: the restored table's own may stand in another order.
        return wanted === undefined
          ? []
          : [
              {
                key: named(wanted),
                statement: copyOutStatement(
                  { ...wanted, condition: wanted.extension?.condition ?? '' },
                  pages,
                ),
              },
            ]
      })
      const { result } = run(
        {
          kind: 'digest',
          connection: targetConnection(target),
          snapshot: undefined,
          encoding: inventory.database.encoding,
          statements: blocks.map(({ statement }) => statement),
        },
        {},
      )
      for (const [at, digest] of (await result).entries()) {
        const key = blocks[at]?.key ?? ''
        sums.set(key, addRowDigests(sums.get(key) ?? emptyRowDigest, digest))
      }
      doneBytes += task.sizeBytes
      context.emit({ type: 'progress', stage: 'comparing', doneBytes, totalBytes })
    })
    return sums
  }
}

async function compareSequences({ inventory }: LoadTarget, session: PsqlSession): Promise<readonly string[]> {
  const found = new Map(
    (await readSequences(session)).map((sequence) => [
      JSON.stringify([sequence.schema, sequence.name]),
      sequence,
    ]),
  )
  return inventory.sequences.flatMap((sequence) => {
    const key = JSON.stringify([sequence.schema, sequence.name])
    const now = found.get(key)
    if (now === undefined) return [`sequence ${key} is missing`]
    const same = now.lastValue === sequence.lastValue && now.isCalled === sequence.isCalled
    return same ? [] : [`sequence ${key} stands at ${now.lastValue}, the snapshot had ${sequence.lastValue}`]
  })
}

async function compareLargeObjects(target: LoadTarget, session: PsqlSession): Promise<readonly string[]> {
  const { inventory, lanes } = target
  const expected = inventory.largeObjects
  const objects = await countLargeObjects(session)
  if (objects !== (expected?.objects ?? 0))
    return [`there are ${objects} large objects, the snapshot had ${expected?.objects ?? 0}`]
  if (expected === null) return []
  let found: RowDigest | undefined
  await lanes.each([copyLargeObjects], async (run, statement) => {
    const connection = targetConnection(target)
    const { result } = run(
      {
        kind: 'digest',
        connection,
        snapshot: undefined,
        encoding: inventory.database.encoding,
        statements: [statement],
      },
      {},
    )
    ;[found] = await result
  })
  return found?.digest === expected.digest && found.rows === expected.rows
    ? []
    : ['the large objects have other content']
}
