import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { Kysely, PostgresAdapter, PostgresDriver, PostgresIntrospector, PostgresQueryCompiler, sql } from 'kysely'
import { type CustomTypesConfig, Pool, types } from 'pg'
import type { CatalogDialect } from './dialect.ts'
import { leased } from './leased-connection.ts'
import { isPostgresConflict, translatePostgres } from './postgres-errors.ts'
import type { Tables } from './tables.ts'

/** Any number that names Salvor's migrations among the advisory locks of a database. */
const MIGRATION_LOCK = 7_265_819_224_133

/**
 * Every session: the catalog's own schema; a commit is on disk before it is acknowledged, whatever the server's default;
 * and limits, so that a client that hangs holds nobody up.
 */
const SESSION = `select set_config('search_path', 'salvor', false),
  set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on'
    else current_setting('synchronous_commit') end, false),
  set_config('lock_timeout', '10s', false), set_config('statement_timeout', '60s', false),
  set_config('idle_in_transaction_session_timeout', '60s', false)`

/** A PostgreSQL database reached through a pool. The catalog lives in its schema `salvor`. */
export function openPostgres(url: string): CatalogDialect {
  // Without a cause: the parser's own error holds the URL, and so the password.
  if (!URL.canParse(url)) throw new SalvorError('CATALOG_UNREACHABLE', { reason: 'catalog.url is not a URL' })
  const pool = new Pool({
    connectionString: url,
    application_name: 'salvor',
    max: 10,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    types: { getTypeParser: parserOf },
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for it, its types do not say so
    onConnect: async (client) => {
      // While a connection is in use its breaking is told to whoever waits for a statement; unheard, it ends the process.
      client.on('error', () => undefined)
      await client.query(SESSION)
    },
  })
  // A connection that breaks while idle leaves the pool; the next statement opens another, or says why it can't.
  pool.on('error', () => undefined)
  const db = new Kysely<Tables>({
    dialect: {
      createDriver: () => leased(new PostgresDriver({ pool }), translatePostgres),
      createAdapter: () => new PostgresAdapter(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  })
  return {
    reads: db,
    writes: db,
    textType: 'text collate "C"',
    clock: sql<string>`(select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))`,
    rowLocks: true,
    isThere,
    lockMigrations,
    isConflict: isPostgresConflict,
    close: async () => {
      await db.destroy()
      if (!pool.ended && !pool.ending) await pool.end()
    },
  }
}

async function isThere(db: Kysely<Tables>): Promise<boolean> {
  const { rows } = await sql<{ there: boolean }>`select to_regclass('salvor.migrations') is not null as there`.execute(
    db,
  )
  return rows[0]?.there === true
}

/** The schema is looked for first: an administrator may have made it for a role that may not. */
async function lockMigrations(db: Kysely<Tables>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(db)
  const { rows } = await sql<{ there: boolean }>`select to_regnamespace('salvor') is not null as there`.execute(db)
  if (rows[0]?.there !== true) await sql`create schema salvor`.execute(db)
}

/** Counts and sizes as numbers: they stay below 2^53. */
const parserOf: CustomTypesConfig['getTypeParser'] = (oid, format) =>
  oid === types.builtins.INT8 ? Number : types.getTypeParser(oid, format)
