/**
 * A database backed up from every supported version of PostgreSQL, restored into the same version and into every newer
 * one, all through each version's own client programs. What comes out is held against the source across the versions
 * (rows, sequences, large objects, owners and rights), and against the same database made by its own script on the
 * newer server, where every definition must be equal too, whatever that version words otherwise.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { assertSameFacts, databaseFacts } from '../compare/compare-databases.ts'
import type { Workshop } from '../support/coffre.ts'
import { loadDemo } from '../support/demo-database.ts'
import { makeDatabase, sql, type TestDatabase } from '../support/postgres.ts'
import {
  hazardsFile,
  insideSource,
  intoInside,
  supported,
  workshopFor,
  type VersionedServer,
} from './servers.ts'

/** The demo's database and the hazards that a major version knows, made on one server. */
async function makeSample(label: string, at: VersionedServer, level: number): Promise<TestDatabase> {
  const database = await makeDatabase(label, at.server)
  await loadDemo(database, { scale: 0.01 })
  await sql(database.name, '', ['-v', `level=${level}`, '-f', hazardsFile], at.server)
  return database
}

/** What every version says in the same words. */
const alike = ['rows', 'sequence value', 'large object', 'owner', 'privilege', 'default privilege', 'comment']

type Fact = readonly unknown[]

/** The facts of a database; without the rows that our own logins leave behind in it. */
async function facts(
  conninfo: string,
  holds: (fact: Fact) => boolean = () => true,
): Promise<readonly string[]> {
  return (await databaseFacts(conninfo)).filter((line) => {
    const fact = JSON.parse(line) as Fact
    return !(fact[0] === 'rows' && fact[1] === 'hazards.logins') && holds(fact)
  })
}

/** The kinds of facts that hold across majors. From 17 on there is a privilege MAINTAIN, which an owner has by default; from 15 on the schema public is not everybody's. */
async function factsAcross(conninfo: string): Promise<readonly string[]> {
  return await facts(
    conninfo,
    ([kind, type, name, , privilege]) =>
      !(type === 'schema' && name === 'public') &&
      alike.includes(String(kind)) &&
      !(kind === 'privilege' && privilege === 'MAINTAIN'),
  )
}

/** From 18 on NOT NULL has a name. An older pg_dump knows none, so that the newer server makes one up. */
function withoutMadeUpNames(all: readonly string[]): readonly string[] {
  return all
    .map((line) => {
      const [kind, schema, table, , what] = JSON.parse(line) as Fact
      const named = kind === 'constraint' && /"definition" ?: ?"NOT NULL /.test(line)
      return named ? JSON.stringify([kind, schema, table, what]) : line
    })
    .toSorted()
}

for (const from of supported) {
  describe(`a backup of PostgreSQL ${from.version}`, () => {
    let source: TestDatabase
    let workshop: Workshop
    before(async () => {
      source = await makeSample('sample', from, from.major)
      workshop = await workshopFor(insideSource(from, source.name))
      const { warnings } = await workshop.json(['backup', 'source'])
      assert.deepEqual(warnings, [])
    })
    after(async () => {
      await workshop[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
    })
    for (const to of supported.filter(({ major }) => major >= from.major)) {
      test(`comes back equal on PostgreSQL ${to.version}`, async () => {
        await using reference = await makeSample('reference', to, from.major)
        // Status 0: nothing to warn of.
        const { stderr } = await workshop.coffre(intoInside(workshop, to, reference.restored.name))
        const told = stderr.includes('GRANT CREATE ON SCHEMA public')
        assert.equal(told, from.major < 15 && to.major >= 15, stderr)
        assertSameFacts(await factsAcross(source.conninfo), await factsAcross(reference.restored.conninfo))
        const same = from.major < 18 && to.major >= 18 ? withoutMadeUpNames : (all: readonly string[]) => all
        assertSameFacts(same(await facts(reference.conninfo)), same(await facts(reference.restored.conninfo)))
      })
    }
  })
}
