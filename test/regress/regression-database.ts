/**
 * The judge of the whole round trip: PostgreSQL's own regression database is backed up, restored beside it, and nothing
 * may differ: not a definition, a row, a sequence, a large object or a property of the database. Both sides are told by
 * plain SQL, and their definitions by pg_dump once more. Run by `npm run test:regress`; too slow for `npm test`.
 *
 * What may differ is listed in `lawful` and at the head of compare/database-facts.sql, each with its reason.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { databaseFacts, differingFacts } from '../compare/compare-databases.ts'
import { assertSameDefinitions } from '../compare/compare-definitions.ts'
import { makeWorkshop } from '../support/coffre.ts'
import { conninfoOf, sql, urlOf } from '../support/postgres.ts'
import { makeRegressionDatabase } from './make-regression-database.ts'

const lawful = [
  {
    facts: /^- \["family member", "pg_catalog\.integer_ops USING btree", .*int8alias/,
    count: 6,
    why: 'equivclass.sql adds operators to a family of the system, and pg_dump dumps no family of the system; the backup warns of it',
  },
] as const

/** So that a suite that made little does not pass for one that came back whole. */
const content = `SELECT json_build_object(
  'tables', (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384),
  'functions', (SELECT count(*) FROM pg_proc WHERE oid >= 16384),
  'sequences', (SELECT count(*) FROM pg_sequence),
  'large objects', (SELECT count(*) FROM pg_largeobject_metadata),
  'settings', (SELECT count(*) FROM pg_db_role_setting, unnest(setconfig)))`

test("PostgreSQL's own regression database comes back equal in everything", async (t) => {
  const tarball = process.env['COFFRE_REGRESS_SOURCE'] ?? assert.fail('run it by npm run test:regress')
  const started = performance.now()
  await using regression = await makeRegressionDatabase(tarball)
  const { name, server, verdict } = regression
  t.diagnostic(`pg_regress: ${verdict} In ${Math.round((performance.now() - started) / 1000)} s`)
  const held = JSON.parse(await sql(name, content, [], server)) as Record<string, number>
  t.diagnostic(JSON.stringify(held))
  assert.ok((held['tables'] ?? 0) > 500 && (held['functions'] ?? 0) > 300, 'the suite made its database')

  await using workshop = await makeWorkshop({ sources: { regression: { url: urlOf(name, server) } } })
  const made = await workshop.json(['backup'], { status: 3 })
  assert.match(String(made['warnings']), /^left out, .* operator family integer_ops .* and 5 more$/)
  t.diagnostic(`${Number(made['rows'])} rows backed up in ${Number(made['durationSeconds'])} s`)
  const to = urlOf('regression_restored', server)
  await workshop.json(['restore', 'latest', '--to', to, '--identity', workshop.identity()])

  const [source, restored] = [conninfoOf(name, server), conninfoOf('regression_restored', server)]
  await assertSameDefinitions(source, restored)
  const [left, right] = [await databaseFacts(source), await databaseFacts(restored)]
  t.diagnostic(`${left.length} facts compared`)
  const differing = differingFacts(left, right)
  const unexplained = differing.filter((fact) => !lawful.some(({ facts }) => facts.test(fact)))
  assert.deepEqual(unexplained, [], `${unexplained.length} facts differ`)
  for (const { facts, count, why } of lawful) {
    assert.equal(differing.filter((fact) => facts.test(fact)).length, count, why)
  }
})
