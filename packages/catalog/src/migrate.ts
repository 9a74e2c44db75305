import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { type Kysely, sql } from 'kysely'
import type { CatalogDialect } from './dialect.ts'
import type { Tables } from './tables.ts'

export interface Migration {
  /** Number and name, `0001-initial`: names sort in the order in which they run. */
  readonly name: string
  /** Statements that both databases take; `text` is the type of a text column. */
  statements(text: string): readonly string[]
}

/**
 * Brings the catalog to this version, in one transaction: all of it or nothing, once, however many processes open it.
 * CATALOG_NEWER when it holds a migration that this version does not know. A catalog of this version is only read.
 */
export async function migrate(
  dialect: CatalogDialect,
  migrations: readonly Migration[],
  /** Runs in the same transaction when anything was migrated. */
  settle: (db: Kysely<Tables>) => Promise<void>,
): Promise<void> {
  if ((await missingOf(dialect.reads, dialect, migrations)).length === 0) return
  await dialect.writes
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (db) => {
      await dialect.lockMigrations(db)
      const missing = await missingOf(db, dialect, migrations)
      if (missing.length === 0) return
      if (missing.length === migrations.length) await createLedger(db, dialect)
      for (const migration of missing) {
        for (const statement of migration.statements(dialect.textType)) await sql.raw(statement).execute(db)
        await db.insertInto('migrations').values({ name: migration.name, applied_at: dialect.clock }).execute()
      }
      await settle(db)
    })
}

async function missingOf(
  db: Kysely<Tables>,
  dialect: CatalogDialect,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  if (!(await dialect.isThere(db))) return migrations
  const rows = await db.selectFrom('migrations').select('name').orderBy('name').execute()
  const applied = new Set(rows.map((row) => row.name))
  const known = new Set(migrations.map((migration) => migration.name))
  const found = [...applied].find((name) => !known.has(name))
  if (found !== undefined) throw new SalvorError('CATALOG_NEWER', { found })
  return migrations.filter((migration) => !applied.has(migration.name))
}

async function createLedger(db: Kysely<Tables>, { textType }: CatalogDialect): Promise<void> {
  const text = sql.raw(textType)
  await sql`create table migrations (name ${text} primary key, applied_at ${text} not null)`.execute(db)
}
