/**
 * A backup comes back without coffre: the lines of docs/restore-without-coffre.md and of the backup's own RESTORE.md are run
 * as written, where neither coffre nor node is, and the result is compared with the source by plain SQL.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertSameDatabase } from '../compare/compare-databases.ts'
import { makeWorkshop, type Workshop } from '../support/coffre.ts'
import { loadDemo } from '../support/demo-database.ts'
import { startOwnServer, type OwnServer } from '../support/own-server.ts'
import { conninfoOf, makeDatabase, socketFolder, sql, urlOf } from '../support/postgres.ts'
import { page, shellBlocks, StockMachine, type Told } from '../support/stock-procedure.ts'

/** Another server, which has none of the source's roles. */
let elsewhere: OwnServer
before(async () => {
  elsewhere = await startOwnServer()
})
after(() => elsewhere[Symbol.asyncDispose]())

const ownerName = `stock "Öwner" ${process.pid}`
const quotedOwner = `"${ownerName.replaceAll('"', '""')}"`
const group = `stock_group_${process.pid}`

/** An owner and a group, dropped when all that was theirs is gone. */
async function makeOwner(): Promise<{ readonly quoted: string } & AsyncDisposable> {
  await sql(
    'postgres',
    `CREATE ROLE ${group} NOINHERIT;
    CREATE ROLE ${quotedOwner} LOGIN PASSWORD 'it''s' CONNECTION LIMIT 7 VALID UNTIL '2040-01-01' IN ROLE ${group}`,
  )
  return {
    quoted: quotedOwner,
    [Symbol.asyncDispose]: async () => {
      await sql('postgres', `DROP ROLE ${quotedOwner}; DROP ROLE ${group}`)
    },
  }
}

/** The demo's database, with that owner and properties of its own. */
async function makeSource(owner: string): Promise<Awaited<ReturnType<typeof makeDatabase>>> {
  const database = await makeDatabase('stock')
  await loadDemo(database, { scale: 0.03 })
  await database.sql(`
    ALTER DATABASE "${database.name}" OWNER TO ${owner};
    CREATE TABLE public."its own" (v text); INSERT INTO public."its own" VALUES (E'a\\tb\\\\c'), (NULL), ('\\.');
    ALTER TABLE public."its own" OWNER TO ${owner};
    ALTER DATABASE "${database.name}" SET search_path = "$user", 'odd, one', public;
    ALTER DATABASE "${database.name}" SET my.setting = 'it''s \\ here';
    ALTER ROLE ${owner} IN DATABASE "${database.name}" SET work_mem = '5MB';
    REVOKE ALL ON DATABASE "${database.name}" FROM PUBLIC;
    GRANT CONNECT ON DATABASE "${database.name}" TO ${group} WITH GRANT OPTION;
    ALTER DATABASE "${database.name}" CONNECTION LIMIT 33;
    COMMENT ON DATABASE "${database.name}" IS E'it''s \\\\ a "comment"\\n\\\\! echo with two lines'`)
  return database
}

function rootOf(workshop: Workshop): string {
  return (workshop.config['trust'] as { root: string }).root
}

/** Follows both pages to the end. */
async function followPages(
  machine: StockMachine,
  workshop: Workshop,
  chosen: { source: string; id: unknown; variables: Readonly<Record<string, string>> },
): Promise<Told> {
  machine.gnupg.importKey(readFileSync(workshop.identity()))
  const folder = join(workshop.folder, 'repository/backups', chosen.source, String(chosen.id))
  const guide = readFileSync(join(folder, 'RESTORE.md'), 'utf8')
  const variables = {
    REPOSITORY: join(workshop.folder, 'repository'),
    SOURCE: chosen.source,
    BACKUP: String(chosen.id),
    ROOT: (rootOf(workshop).match(/.{1,4}/g) ?? []).join(' ').toLowerCase(),
    ...chosen.variables,
  }
  return await machine.run([...shellBlocks(page), 'cd "$FOLDER"', ...shellBlocks(guide)], {
    cwd: workshop.folder,
    variables,
  })
}

function assertAllOk({ status, said }: Told): void {
  assert.equal(status, 0, said)
  for (const block of [2, 3, 4, 5]) assert.match(said, new RegExp(`^OK: block ${block}$`, 'm'))
  for (const step of [1, 2, 3, 4, 5, 6, 7, 8, 9]) assert.match(said, new RegExp(`^OK: step ${step}$`, 'm'))
}

test('a backup comes back equal by the two pages alone, on a server that has none of its roles', async () => {
  await using owner = await makeOwner()
  await using database = await makeSource(owner.quoted)
  await using workshop = await makeWorkshop({ sources: { buildings: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  using machine = new StockMachine()
  const planted = join(workshop.folder, 'repository/backups/buildings', String(id), 'rows')
  plantStranger(machine, workshop, planted)

  const variables = { PGHOST: elsewhere.socketFolder, PGUSER: 'postgres', DATABASE: 'back_again' }
  assertAllOk(await followPages(machine, workshop, { source: 'buildings', id, variables }))

  const restored = `${elsewhere.server} dbname=back_again`
  await assertSameDatabase(conninfoOf(database.name), restored)
  const roles = `SELECT json_agg(to_jsonb(a) - 'oid' || jsonb_build_object('member of',
      (SELECT json_agg(roleid::regrole) FROM pg_auth_members WHERE member = a.oid)) ORDER BY rolname)
    FROM pg_authid a WHERE rolname ~ '^stock.* ?_?${process.pid}$'`
  assert.equal(await sql('postgres', roles, [], elsewhere.server), await sql('postgres', roles))
  assert.ok(!existsSync(join(planted, '../plain')), 'the decrypted files are gone')
})

test('a gzip backup comes back equal by the two pages alone, beside the database it is of', async () => {
  await using owner = await makeOwner()
  await using database = await makeSource(owner.quoted)
  await using workshop = await makeWorkshop({
    sources: { buildings: { url: database.url } },
    more: { compression: { algorithm: 'gzip' } },
  })
  const { id } = await workshop.json(['backup'])
  using machine = new StockMachine()
  const restored = `${database.name}_restored`
  const variables = { PGHOST: socketFolder(), PGUSER: 'postgres', DATABASE: restored }
  assertAllOk(await followPages(machine, workshop, { source: 'buildings', id, variables }))
  await assertSameDatabase(conninfoOf(database.name), conninfoOf(restored))
})

test('a database without tables, and with an ICU locale, comes back by the two pages alone', async () => {
  const name = `stock_icu_${process.pid}`
  const icu = `TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE-u-co-standard' LOCALE 'C.UTF-8'`
  await sql('postgres', `CREATE DATABASE ${name} ${icu}`)
  try {
    await using workshop = await makeWorkshop({ sources: { icu: { url: urlOf(name) } } })
    const { id, artifacts } = await workshop.json(['backup'])
    assert.ok(!JSON.stringify(artifacts).includes('rows/'), 'there are no rows artifacts')
    using machine = new StockMachine()
    const variables = { PGHOST: elsewhere.socketFolder, PGUSER: 'postgres', DATABASE: name }
    assertAllOk(await followPages(machine, workshop, { source: 'icu', id, variables }))
    await assertSameDatabase(conninfoOf(name), `${elsewhere.server} dbname=${name}`)
  } finally {
    await sql('postgres', `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }
})

test('RESTORE.md leaves an existing database alone, and its later steps refuse to run', async () => {
  await using database = await makeDatabase('occupied')
  await database.sql('CREATE TABLE t AS SELECT 1 AS a')
  await using workshop = await makeWorkshop({ sources: { occupied: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  using machine = new StockMachine()
  const variables = {
    PGHOST: socketFolder(),
    PGUSER: 'postgres',
    DATABASE: database.name,
  }
  const { status, said } = await followPages(machine, workshop, { source: 'occupied', id, variables })
  assert.notEqual(status, 0)
  assert.match(said, /STOP: the database occupied_\S+ exists already/)
  assert.doesNotMatch(said, /OK: step/)
  assert.equal(await database.sql('SELECT a FROM t'), '1')
})

test('RESTORE.md and the manifest say nothing of the content', async () => {
  await using database = await makeDatabase('zebra')
  await database.sql('CREATE SCHEMA quagga; CREATE TABLE quagga.okapi (giraffe int); CREATE SEQUENCE gnu')
  await using workshop = await makeWorkshop({ sources: { s: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  for (const name of ['RESTORE.md', 'manifest.json']) {
    const clear = readFileSync(join(workshop.folder, 'repository/backups/s', String(id), name), 'utf8')
    assert.doesNotMatch(clear, /zebra|quagga|okapi|giraffe|gnu\b/i)
  }
})

test('rows that are missing, and a sequence that stands elsewhere, are found by the comparison in RESTORE.md', async () => {
  await using database = await makeDatabase('counted')
  await database.sql(
    'CREATE TABLE "two rows" (id serial, v text); INSERT INTO "two rows" (v) VALUES (1), (2)',
  )
  await using workshop = await makeWorkshop({ sources: { counted: { url: database.url } } })
  const { id } = await workshop.json(['backup'])
  const folder = join(workshop.folder, 'repository/backups/counted', String(id))
  const blocks = shellBlocks(readFileSync(join(folder, 'RESTORE.md'), 'utf8'))
  using machine = new StockMachine()
  machine.gnupg.importKey(readFileSync(workshop.identity()))
  const spoil = `psql -X -q -d "$DATABASE" -c 'DELETE FROM "two rows" WHERE id = 1' -c "SELECT setval('\\"two rows_id_seq\\"', 9)"`
  const { status, said } = await machine.run([...blocks.slice(0, 6), spoil, ...blocks.slice(6)], {
    cwd: folder,
    variables: { PGHOST: socketFolder(), PGUSER: 'postgres', DATABASE: `${database.name}_restored` },
  })
  assert.notEqual(status, 0)
  assert.match(said, /^OK: step 6$/m)
  assert.match(
    said,
    /^table public.two rows should have rows: 2\nsequence public.two rows_id_seq should stand at 2$/m,
  )
  assert.match(said, /STOP: what was restored differs from the snapshot/)
  assert.doesNotMatch(said, /OK: step 7/)
})

for (const algorithm of ['zstd', 'gzip'] as const) {
  test(`every ${algorithm} artifact opens with the installed gpg, ${algorithm} and pg_restore, to its last byte`, async () => {
    await using database = await makeDatabase('artifacts')
    await database.sql(`CREATE TABLE t AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 9000) n; SELECT lo_from_bytea(0, '\\x00ff');
      INSERT INTO t VALUES (0, '\\.'), (0, E'\\n\\\\.\\n')`)
    await using workshop = await makeWorkshop({
      sources: { artifacts: { url: database.url } },
      more: { compression: { algorithm } },
    })
    const { id, artifacts } = await workshop.json(['backup'])
    using machine = new StockMachine()
    machine.gnupg.importKey(readFileSync(workshop.identity()))
    const names = (artifacts as { name: string; kind: string }[]).map(({ name }) => name)
    const ending = algorithm === 'zstd' ? 'zst' : 'gz'
    const kinds = ['globals.sql', 'inventory.json', 'large-objects.dump', 'rows/0001.sql', 'schema.dump']
    assert.deepEqual(
      names,
      kinds.map((kind) => `${kind}.${ending}.gpg`),
    )
    for (const name of names) {
      const sealed = join(workshop.folder, 'repository/backups/artifacts', String(id), name)
      const compressed = machine.gnupg.succeed(['--decrypt', sealed])
      const plain = execFileSync(algorithm, ['-d', '-c'], { input: compressed, maxBuffer: 2 ** 28 })
      if (name.includes('.dump.')) {
        assert.ok(execFileSync('pg_restore', ['-l'], { input: plain }).includes('Archive created at'))
        execFileSync('pg_restore', ['-f', '/dev/null'], { input: plain })
      } else if (name.startsWith('rows/')) {
        assertLoadable(plain.toString())
      } else if (name.startsWith('inventory')) {
        assert.equal((JSON.parse(plain.toString()) as { backup: unknown }).backup, id)
      } else {
        assert.match(plain.toString(), /CREATE ROLE "?postgres"?/)
      }
    }
  })
}

/** One COPY block with its 9002 rows, and no line that psql would take for a command of its own. */
function assertLoadable(text: string): void {
  const [preamble = '', copy = '', ...rest] = text.split('\n\n')
  assert.match(preamble, /^SET client_encoding = 'UTF8';\n(SET \w+ = \S+;\n)*SET \w+ = \S+;$/)
  assert.deepEqual(rest, [''])
  const [header, ...lines] = copy.split('\n')
  assert.equal(header, 'COPY "public"."t" ("n", "filler") FROM STDIN;')
  assert.equal(lines.pop(), '\\.')
  assert.equal(lines.length, 9002)
  assert.deepEqual(
    lines.filter((line) => line.startsWith('\\')),
    [],
  )
}

/** What anybody with the public key can add to a folder: a well-sealed artifact that no manifest names. */
function plantStranger(machine: StockMachine, workshop: Workshop, folder: string): void {
  machine.gnupg.importKey(workshop.readers[0]?.publicKey ?? '')
  const scratch = mkdtempSync(join(tmpdir(), 'coffre-planted-'))
  const plain = join(scratch, 'evil.sql')
  writeFileSync(plain, 'CREATE TABLE public.planted (a int);\n')
  execFileSync('zstd', ['-q', plain])
  const to = workshop.readers[0]?.fingerprint ?? ''
  machine.gnupg.succeed([
    '--trust-model',
    'always',
    '--compress-algo',
    'none',
    '-o',
    `${plain}.gpg`,
    '-e',
    '-r',
    to,
    `${plain}.zst`,
  ])
  cpSync(`${plain}.gpg`, join(folder, '0999.sql.zst.gpg'))
  rmSync(scratch, { recursive: true })
}
