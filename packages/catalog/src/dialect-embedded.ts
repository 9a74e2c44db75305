import { Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from 'kysely'
import type { CatalogDialect } from './dialect.ts'
import { prepareDataDir } from './embedded/data-dir.ts'
import { embeddedDriver, whenFree } from './embedded/driver.ts'
import type { Side } from './embedded/messages.ts'
import { ThreadClient } from './embedded/thread-client.ts'
import { translateEmbedded } from './embedded/translate.ts'
import { leased } from './leased-connection.ts'
import type { Tables } from './tables.ts'

let ahead: ThreadClient | null = null

/** Starts the thread of the embedded catalog that this process is about to open. One that nobody opens keeps no process alive. */
export function startEmbeddedAhead(): void {
  ahead ??= new ThreadClient()
}

/** SQLite in data_dir, driven by one thread of this process; other processes may use the same file. */
export async function openEmbedded(data_dir: string, unique: string): Promise<CatalogDialect> {
  const path = await prepareDataDir(data_dir, unique)
  const thread = ahead ?? new ThreadClient()
  ahead = null
  try {
    await whenFree(() => thread.ask({ op: 'open', path }))
  } catch (error) {
    await thread.close()
    throw translateEmbedded(error)
  }
  const reads = side(thread, 'read')
  const writes = side(thread, 'write')
  return {
    reads,
    writes,
    textType: 'text collate binary',
    // SQLite's clock has milliseconds; 'now' is one instant per statement.
    clock: sql<string>`(select strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')`,
    rowLocks: false,
    isThere: async (db) =>
      (await sql`select 1 from sqlite_schema where name = 'migrations'`.execute(db)).rows.length > 0,
    lockMigrations: async () => undefined,
    isConflict: () => false,
    close: async () => {
      await Promise.all([reads, writes].map((db) => drained(db)))
      await Promise.all([reads.destroy(), writes.destroy()])
      await thread.close()
    },
  }
}

function side(thread: ThreadClient, name: Side): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createDriver: () => leased(embeddedDriver(thread, name), translateEmbedded),
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
}

/** The connection was free once: whoever used it is done. Refused when closed before. */
async function drained(db: Kysely<Tables>): Promise<void> {
  await db
    .connection()
    .execute(async () => undefined)
    .catch(() => undefined)
}
