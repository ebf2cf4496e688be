/** The inventory: what a restore composes its statements from, so nothing unchecked may come out of reading it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodeJson } from '../../src/model/canonical-json.ts'
import { parseInventory, type Inventory } from '../../src/model/inventory.ts'
import { coded } from '../contract/contract-materials.ts'
import { holds } from '../support/property.ts'
import { jsonKind, pathsOf, valueAt, withValueAt, type Path } from '../support/sample-manifest.ts'

const digest = 'c0ffee00'.repeat(4)

function sample(changes: Partial<Inventory> = {}): Inventory {
  return {
    type: 'coffre-inventory',
    format: 1,
    backup: '20261123T020000Z-7f3a9c2e',
    source: 'koprogo',
    server: { version: '15.18', versionNumber: 150018, systemIdentifier: '7412345678901234567' },
    database: {
      name: 'koprogo_db',
      owner: 'koprogo',
      encoding: 'UTF8',
      localeProvider: 'libc',
      collate: 'C.UTF-8',
      characterType: 'C.UTF-8',
      locale: null,
      icuRules: null,
      collationVersion: '2.36',
      tablespace: 'fast',
      tablespaces: ['slow "disks"'],
      connectionLimit: -1,
      comment: 'a "comment"\nof two lines',
      securityLabels: [{ provider: 'selinux', label: 'system_u' }],
      grants: [{ grantee: null, privilege: 'CONNECT', grantable: false }],
      settings: [{ role: null, name: 'work_mem', value: '4MB' }],
    },
    roles: [
      {
        name: 'koprogo',
        superuser: false,
        inherit: true,
        createRole: false,
        createDatabase: false,
        login: true,
        replication: false,
        bypassRowSecurity: false,
        connectionLimit: -1,
        validUntil: null,
        passwordVerifier: 'SCRAM-SHA-256$4096:…',
        comment: null,
        owns: true,
        memberOf: [{ role: 'readers', admin: true, inherit: null, set: null }],
        settings: [{ name: 'work_mem', value: '5MB' }],
      },
    ],
    extensions: [{ name: 'postgis', version: '3.3.2' }],
    superuserOnly: [{ kind: 'event trigger', name: 'no_drops' }],
    tables: [
      {
        schema: 'public',
        name: 'units',
        columns: ['id', 'a "b'],
        partitioned: true,
        extension: null,
        rows: 2,
        digest,
      },
      {
        schema: 'public',
        name: 'spatial_ref_sys',
        columns: ['srid'],
        partitioned: false,
        extension: { name: 'postgis', condition: 'WHERE srid > 999999' },
        rows: 0,
        digest: '0'.repeat(32),
      },
    ],
    sequences: [
      { schema: 'public', name: 'units_id_seq', lastValue: '-9223372036854775808', isCalled: true },
    ],
    rowsNotRead: [{ schema: 'public', name: 'sessions' }],
    largeObjects: { objects: 1, rows: 1, digest },
    rowArtifacts: [
      {
        name: 'rows/0001.sql.zst.gpg',
        blocks: [
          { table: 0, bytes: 20, rows: 2, digest },
          { table: 1, bytes: 0, rows: 0, digest: '0'.repeat(32) },
        ],
        sequences: true,
      },
    ],
    ...changes,
  }
}

const parse = (value: unknown): Inventory => parseInventory(encodeJson(value))

function refuses(value: unknown, message = /^the inventory/): void {
  assert.throws(() => parse(value), coded('ERR_FORMAT', message))
}

test('an inventory is read as it was written', () => {
  assert.deepEqual(parse(sample()), sample())
  const empty = sample({ tables: [], sequences: [], roles: [], rowArtifacts: [], largeObjects: null })
  assert.deepEqual(parse(empty), empty)
})

/** The sample as the first form has it: docs/format.md, section 8. */
function firstSample(): Record<string, unknown> {
  const { extensions: _e, superuserOnly: _so, rowsNotRead: _r, database, roles, tables, ...rest } = sample()
  const { collationVersion: _c, tablespace: _t, tablespaces: _ts, securityLabels: _s, ...first } = database
  return {
    ...rest,
    database: first,
    roles: roles.map(({ comment: _c, owns: _o, settings: _s, ...role }) => ({
      ...role,
      memberOf: role.memberOf.map((membership) => membership.role),
    })),
    tables: tables.map((table) => {
      const { partitioned: _p, ...before } = table
      return before
    }),
  }
}

test('an inventory of the first form is read, and what it did not say is what was taken for granted then', () => {
  const { extensions, superuserOnly, database, roles, tables } = parse(firstSample())
  assert.deepEqual({ extensions, superuserOnly }, { extensions: [], superuserOnly: [] })
  assert.equal(database.tablespace, 'pg_default')
  assert.deepEqual(roles[0]?.memberOf, [{ role: 'readers', admin: false, inherit: null, set: null }])
  assert.equal(roles[0]?.owns, true)
  assert.equal(tables[0]?.partitioned, false)
})

test('tables without rows are named or not spoken of', () => {
  const { rowsNotRead: _r, ...rest } = sample()
  assert.equal(parse(rest).rowsNotRead, undefined)
  refuses({ ...rest, rowsNotRead: [] })
})

test('a mixture of both forms of the inventory is refused', () => {
  const { extensions, roles, tables } = sample()
  for (const mixed of [{ extensions }, { roles }, { tables }]) refuses({ ...firstSample(), ...mixed })
})

/** Where null may stand. */
const nullable =
  'locale icuRules collationVersion comment grants validUntil passwordVerifier extension inherit set'.split(
    ' ',
  )
const mayBeNull = (path: Path): boolean =>
  [...nullable, 'largeObjects', 'grantee', 'role'].includes(String(path.at(-1)))

test('each single field is spoiled in each way, and each time refused', () => {
  const whole = sample()
  const paths = pathsOf(whole)
  assert.ok(paths.length > 80)
  for (const path of paths) {
    const before = valueAt(whole, path)
    for (const value of [undefined, null, true, 'x', 7, 0.5, [], {}]) {
      if (value === undefined && (typeof path.at(-1) === 'number' || path.at(-1) === 'rowsNotRead')) continue
      if (value === null && mayBeNull(path)) continue
      if (before === null && typeof value === 'string') continue
      if (before === null && typeof value === 'boolean') continue
      if (before === null && Array.isArray(value) && path.at(-1) === 'grants') continue
      if (jsonKind(value) !== jsonKind(before)) refuses(withValueAt(whole, path, value))
    }
    if (jsonKind(before) === 'object') refuses(withValueAt(whole, [...path, 'alien'], 1))
  }
  refuses({ ...whole, alien: 1 })
})

test('whatever JSON stands there instead, it is ERR_FORMAT and nothing else', async (t) => {
  await holds(
    t,
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => refuses(value)),
    200,
  )
})

test('names are whatever PostgreSQL takes, and come back unchanged', async (t) => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 60 })
    .filter((text) => !text.includes('\0'))
  const property = fc.property(name, name, fc.array(name, { maxLength: 4 }), (schema, table, columns) => {
    const tables = [{ schema, name: table, columns, partitioned: false, extension: null, rows: 1, digest }]
    const inventory = sample({ tables, rowArtifacts: [] })
    assert.deepEqual(parse(inventory).tables, tables)
  })
  await holds(t, property, 200)
})

test('a name that is empty, endless or holds a zero byte is refused, wherever it stands', () => {
  const whole = sample()
  const places: readonly Path[] = [
    ['database', 'name'],
    ['database', 'owner'],
    ['database', 'settings', 0, 'name'],
    ['roles', 0, 'name'],
    ['rowsNotRead', 0, 'name'],
    ['rowsNotRead', 0, 'schema'],
    ['roles', 0, 'memberOf', 0, 'role'],
    ['roles', 0, 'settings', 0, 'name'],
    ['database', 'tablespace'],
    ['database', 'tablespaces', 0],
    ['database', 'securityLabels', 0, 'provider'],
    ['extensions', 0, 'name'],
    ['superuserOnly', 0, 'name'],
    ['tables', 0, 'schema'],
    ['tables', 0, 'name'],
    ['tables', 0, 'columns', 0],
    ['tables', 1, 'extension', 'name'],
    ['sequences', 0, 'schema'],
    ['sequences', 0, 'name'],
  ]
  for (const path of places) {
    for (const name of ['', 'a\0b', 'x'.repeat(256)]) refuses(withValueAt(whole, path, name))
  }
  for (const path of [
    ['database', 'comment'],
    ['database', 'settings', 0, 'value'],
    ['tables', 1, 'extension', 'condition'],
  ]) {
    refuses(withValueAt(whole, path, 'a\0b'))
  }
})

test('counts are whole and not negative, digests 32 hex digits, values of sequences whole numbers', () => {
  const whole = sample()
  for (const path of pathsOf(whole)) {
    const last = path.at(-1)
    if (last === 'rows' || last === 'bytes' || last === 'objects') refuses(withValueAt(whole, path, -1))
    if (last === 'digest')
      for (const text of ['', 'C0FFEE00'.repeat(4), digest.slice(1)]) refuses(withValueAt(whole, path, text))
    if (last === 'lastValue')
      for (const text of ['', '1.5', '1e3', '1; DROP', '0x10', '٣']) refuses(withValueAt(whole, path, text))
  }
})

test('the condition of an extension brings neither a command of psql nor a second statement with it', () => {
  for (const condition of [
    '\\! touch /tmp/x',
    'WHERE a\n\\! touch /tmp/x',
    'WHERE true) TO STDOUT; DROP TABLE a',
  ]) {
    refuses(withValueAt(sample(), ['tables', 1, 'extension', 'condition'], condition))
  }
})

test('a block of a table that is not there is refused, and the artifact is named', () => {
  const [artifact] = sample().rowArtifacts
  assert.ok(artifact)
  const blocks = [{ table: 2, bytes: 0, rows: 0, digest }]
  refuses(sample({ rowArtifacts: [{ ...artifact, blocks }] }), /^rows\/0001\.sql\.zst\.gpg speaks of a table/)
  refuses(sample({ rowArtifacts: [{ ...artifact, blocks: [{ table: -1, bytes: 0, rows: 0, digest }] }] }))
})

test('another format is refused', () => {
  refuses({ ...sample(), format: 2 })
  refuses({ ...sample(), type: 'coffre-manifest' })
})
