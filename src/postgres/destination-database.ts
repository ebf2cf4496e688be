/**
 * The database a restore makes: whether its name is free, and the statements that create it and give it the recorded
 * properties. What it needs of the server is `destination-server.ts`, roles are `destination-roles.ts`. Under which name it is made, and how it comes into its place, is `staging-database.ts`.
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import type { InventoryDatabase } from '../model/inventory.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteIdentifier, quoteLiteral } from './quoting.ts'
import { settingClause } from './setting-clause.ts'

export type Occupancy = 'absent' | 'empty' | 'occupied'

/** The catalogs of whatever somebody can have made in a database; what comes with every database has an OID below 16384. */
const catalogs = [
  'class proc type namespace operator cast opfamily collation conversion language extension am transform default_acl',
  'foreign_data_wrapper foreign_server publication event_trigger ts_config ts_dict ts_parser ts_template',
].flatMap((names) => names.split(' '))

/** `inside` opens a session in the database itself; only asked when it exists. Throws ERR_DESTINATION where it lets nobody in. */
export async function occupancy(
  maintenance: PsqlSession,
  database: string,
  inside: () => Promise<PsqlSession>,
): Promise<Occupancy> {
  const [row] = await maintenance.query(
    `SELECT count(*) AS found, count(*) FILTER (WHERE NOT datallowconn) AS shut
      FROM pg_catalog.pg_database WHERE datname = ${quoteLiteral(database)}`,
  )
  const { found, shut } = z.object({ found: z.number(), shut: z.number() }).parse(row)
  if (found === 0) return 'absent'
  if (shut > 0) {
    throw new CoffreError(
      'ERR_DESTINATION',
      `the database ${JSON.stringify(database)} lets nobody in, so nobody can see what is in it`,
      { hint: `ALTER DATABASE ${quoteIdentifier(database)} ALLOW_CONNECTIONS true;` },
    )
  }
  const session = await inside()
  const [content] = await session.query(`
    SELECT EXISTS (${catalogs.map((catalog) => `SELECT FROM pg_catalog.pg_${catalog} WHERE oid >= 16384`).join(' UNION ALL ')}
      UNION ALL SELECT FROM pg_catalog.pg_largeobject_metadata
      UNION ALL SELECT FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
        WHERE d.datname = pg_catalog.current_database()) AS occupied`)
  await session.close()
  return z.object({ occupied: z.boolean() }).parse(content).occupied ? 'occupied' : 'empty'
}

/** From template0, with the properties that can only be given now (PostgreSQL documentation: CREATE DATABASE). */
export function createDatabaseStatement(
  name: string,
  like: InventoryDatabase,
  { versionNumber, tablespace }: { readonly versionNumber: number; readonly tablespace: string | undefined },
): string {
  const provider = versionNumber >= 150000 ? [`LOCALE_PROVIDER ${like.localeProvider}`] : []
  const localeWord = like.localeProvider === 'builtin' ? 'BUILTIN_LOCALE' : 'ICU_LOCALE'
  return [
    `CREATE DATABASE ${quoteIdentifier(name)} WITH TEMPLATE template0 OWNER ${quoteIdentifier(like.owner)}`,
    `ENCODING ${quoteLiteral(like.encoding)} LC_COLLATE ${quoteLiteral(like.collate)} LC_CTYPE ${quoteLiteral(like.characterType)}`,
    ...provider,
    ...(like.locale === null || like.localeProvider === 'libc'
      ? []
      : [`${localeWord} ${quoteLiteral(like.locale)}`]),
    ...(like.icuRules === null ? [] : [`ICU_RULES ${quoteLiteral(like.icuRules)}`]),
    ...(tablespace === undefined ? [] : [`TABLESPACE ${quoteIdentifier(tablespace)}`]),
  ].join(' ')
}

/** Settings, rights, comment, labels and limit of the database itself: last, so that none of them disturbs the loading. */
export function databasePropertyStatements(name: string, like: InventoryDatabase): readonly string[] {
  const database = quoteIdentifier(name)
  const settings = like.settings.map((setting) => {
    const whose =
      setting.role === null
        ? `DATABASE ${database}`
        : `ROLE ${quoteIdentifier(setting.role)} IN DATABASE ${database}`
    return `ALTER ${whose} ${settingClause(setting)}`
  })
  const grants = (like.grants ?? []).map(({ grantee, privilege, grantable }) => {
    const to = grantee === null ? 'PUBLIC' : quoteIdentifier(grantee)
    return `GRANT ${privilege} ON DATABASE ${database} TO ${to}${grantable && grantee !== null ? ' WITH GRANT OPTION' : ''}`
  })
  return [
    ...settings,
    ...(like.comment === null ? [] : [`COMMENT ON DATABASE ${database} IS ${quoteLiteral(like.comment)}`]),
    ...like.securityLabels.map(
      ({ provider, label }) =>
        `SECURITY LABEL FOR ${quoteIdentifier(provider)} ON DATABASE ${database} IS ${quoteLiteral(label)}`,
    ),
    ...(like.grants === null
      ? []
      : [`REVOKE ALL ON DATABASE ${database} FROM PUBLIC, ${quoteIdentifier(like.owner)}`, ...grants]),
    ...(like.connectionLimit === -1
      ? []
      : [`ALTER DATABASE ${database} CONNECTION LIMIT ${like.connectionLimit}`]),
  ]
}

/** Refuses a name nobody means, before anything is made. */
export function assertDatabaseName(name: string | undefined): string {
  if (name === undefined || name === '' || ['template0', 'template1'].includes(name)) {
    throw new CoffreError('ERR_USAGE', 'the destination names no database', {
      hint: 'end the URL with the name of the new database: postgres://…/koprogo_restored',
    })
  }
  if (Buffer.byteLength(name) > 63) throw new CoffreError('ERR_USAGE', 'a database name has at most 63 bytes')
  return name
}
