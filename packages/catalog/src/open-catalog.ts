import type { Catalog, Holder } from '@salvor/shared/ports/catalog'
import type { Ids } from '@salvor/shared/ports/clock'
import { beginAudit } from './audit.ts'
import { catalogOf } from './catalog.ts'
import { Database } from './database.ts'
import type { CatalogDialect } from './dialect.ts'
import { openEmbedded, startEmbeddedAhead } from './dialect-embedded.ts'
import { migrate } from './migrate.ts'
import { MIGRATIONS } from './migrations/all.ts'

export interface CatalogOptions {
  /** `postgres://…`; null: embedded in `data_dir`. */
  readonly url: string | null
  /** Made (0700) if it is not there. */
  readonly data_dir: string
  readonly ids: Ids
  /** Is this process alive? Null: it is on another host, so nobody here can know. */
  readonly holderAlive: (holder: Holder) => boolean | null
}

/**
 * Opens the catalog, and makes or migrates it first where needed: once, however many processes open it at the same time.
 * CATALOG_NEWER when a newer version has migrated it; CATALOG_UNREACHABLE, CATALOG_FULL or CATALOG_DAMAGED otherwise.
 */
export async function openCatalog(options: CatalogOptions): Promise<Catalog> {
  const { url, data_dir, ids } = options
  const dialect = url === null ? await openEmbedded(data_dir, ids.next()) : await postgres(url)
  try {
    await migrate(dialect, MIGRATIONS, (db) => beginCatalog(db, dialect, ids))
    const meta = await dialect.reads.selectFrom('meta').select(['id', 'epoch']).executeTakeFirstOrThrow()
    return catalogOf(new Database(dialect, options), meta)
  } catch (error) {
    await dialect.close()
    throw error
  }
}

/** What an embedded catalog takes longest for, begun before its place is known. For commands that are sure to open a catalog. */
export function openCatalogSoon(): void {
  startEmbeddedAhead()
}

/** The driver is loaded where it is used: most commands run on the embedded catalog. */
async function postgres(url: string): Promise<CatalogDialect> {
  const { openPostgres } = await import('./dialect-postgres.ts')
  return openPostgres(url)
}

/** What a catalog is born with: its name, its first epoch and the beginning of its chain. */
async function beginCatalog(db: CatalogDialect['writes'], { clock }: CatalogDialect, ids: Ids): Promise<void> {
  await db
    .insertInto('meta')
    .values({ one: 1, id: ids.next(), epoch: 1, created_at: clock })
    .onConflict((conflict) => conflict.column('one').doNothing())
    .execute()
  await beginAudit(db)
}
