/**
 * Who stands in the way of a lock: a table that somebody alters is named together with who does it, so that the one who
 * reads the error at night knows what to end. Prepared transactions too, which have no session and can hold a table for
 * ever (PostgreSQL documentation, PREPARE TRANSACTION).
 */
import { z } from 'zod'
import { CoffreError } from '../errors.ts'
import { userSchema } from './catalog.ts'
import type { PsqlSession } from './psql-session.ts'
import { quoteLiteral, quoteQualified } from './quoting.ts'

const conflictRow = z.object({
  schema: z.string(),
  name: z.string(),
  granted: z.boolean(),
  pid: z.number().nullable(),
  role: z.string().nullable(),
  application: z.string().nullable(),
  /** Of a prepared transaction. */
  gid: z.string().nullable(),
})
type LockConflict = z.infer<typeof conflictRow>

/**
 * Of this database, those that hold their lock first. Only ACCESS EXCLUSIVE conflicts with reading (13.3.1). A prepared
 * transaction is known by the lock on its own number: what stands for it in `virtualtransaction` changed in a minor release.
 */
async function readConflicts(session: PsqlSession): Promise<readonly LockConflict[]> {
  // Who is connected is otherwise seen as it was when this transaction first looked (28.2.3, stats_fetch_consistency).
  await session.execute('SELECT pg_catalog.pg_stat_clear_snapshot()')
  const rows = await session.query(`
    SELECT n.nspname AS schema, c.relname AS name, l.granted, l.pid, a.usename AS role, a.application_name AS application, p.gid
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
      JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'S') JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      LEFT JOIN (pg_catalog.pg_prepared_xacts p JOIN pg_catalog.pg_locks own ON own.locktype = 'transactionid' AND own.granted
          AND own.pid IS NULL AND own.transactionid = p.transaction) ON l.pid IS NULL AND own.virtualtransaction = l.virtualtransaction
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND ${userSchema}
    ORDER BY NOT l.granted, n.nspname, c.relname LIMIT 3`)
  return rows.map((row) => conflictRow.parse(row))
}

/**
 * The error of a lock that was not to be had in time, with who has or wants it. As it was where nobody is found any more,
 * or where that cannot be asked.
 */
export async function explainLockError(error: CoffreError, session: PsqlSession): Promise<CoffreError> {
  let conflicts: readonly LockConflict[]
  try {
    conflicts = await readConflicts(session)
  } catch {
    return error
  }
  const [first] = conflicts
  if (first === undefined) return error
  return new CoffreError(error.code, `${error.message}: ${conflicts.map(describe).join('; ')}`, {
    hint: wayOut(first),
    cause: error,
  })
}

function describe({ schema, name, granted, pid, role, application, gid }: LockConflict): string {
  const table = quoteQualified(schema, name)
  if (gid !== null) return `the prepared transaction ${JSON.stringify(gid)} holds ${table}`
  const who = `process ${pid ?? '?'} (role ${JSON.stringify(role ?? '?')}, ${JSON.stringify(application ?? '?')})`
  return granted
    ? `${who} holds ${table} exclusively`
    : `${who} waits for ${table} exclusively, and everybody else behind it`
}

function wayOut({ pid, gid }: LockConflict): string {
  if (gid !== null) {
    return `end it in that database: COMMIT PREPARED ${quoteLiteral(gid)} or ROLLBACK PREPARED ${quoteLiteral(gid)}; then run the backup again`
  }
  return `run the backup again when that is done, or end it: SELECT pg_terminate_backend(${pid ?? 0})`
}
