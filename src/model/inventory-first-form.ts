/**
 * The inventory as coffre wrote it at first, before extensions, partitioned tables and roles' settings were in it. Such
 * backups stay readable: what they do not say is completed with what the reader of that time took for granted.
 * docs/format.md, section 8, "The first form".
 */
import { z } from 'zod'

/** All of the later members are missing, not some: a mixture of both forms is refused as any other damage. */
const absent = z.never().optional()
const firstForm = z.looseObject({
  extensions: absent,
  superuserOnly: absent,
  database: z.looseObject({
    collationVersion: absent,
    tablespace: absent,
    tablespaces: absent,
    securityLabels: absent,
  }),
  roles: z.array(
    z.looseObject({ comment: absent, owns: absent, settings: absent, memberOf: z.array(z.string()) }),
  ),
  tables: z.array(z.looseObject({ partitioned: absent })),
})

/** An inventory of the first form completed; whatever is not of that form comes back as it is. Checks nothing else. */
export function completeFirstForm(value: unknown): unknown {
  const parsed = firstForm.safeParse(value)
  if (!parsed.success) return value
  const { database, roles, tables } = parsed.data
  return {
    ...parsed.data,
    extensions: [],
    superuserOnly: [],
    database: {
      ...database,
      collationVersion: null,
      tablespace: 'pg_default',
      tablespaces: [],
      securityLabels: [],
    },
    roles: roles.map((role) => ({
      ...role,
      comment: null,
      owns: true,
      settings: [],
      memberOf: role.memberOf.map((group) => ({ role: group, admin: false, inherit: null, set: null })),
    })),
    tables: tables.map((table) => ({ ...table, partitioned: false })),
  }
}
