import type { Kysely, RawBuilder } from 'kysely'
import type { Tables } from './tables.ts'

/** What differs between the two databases. Everything else of this package is written once for both. */
export interface CatalogDialect {
  /** Committed state; never waits for an open write transaction of this process. */
  readonly reads: Kysely<Tables>
  /** Where write transactions begin. */
  readonly writes: Kysely<Tables>
  /** SQL type of text that compares by its bytes, so that instants, ids and prefixes sort alike on both. */
  readonly textType: string
  /** The database's clock as an Instant: a scalar subquery, so that a planner evaluates it once and can use an index. */
  readonly clock: RawBuilder<string>
  /**
   * True: transactions run side by side, so a row on which a decision rests is read `for update`.
   * False: a write transaction is alone in the catalog, and SQL has no such clause.
   */
  readonly rowLocks: boolean
  /** Is there a catalog at all, of whatever version? */
  isThere(db: Kysely<Tables>): Promise<boolean>
  /** First in the migrating transaction: processes that open at once migrate one after another, in a place that exists. */
  lockMigrations(db: Kysely<Tables>): Promise<void>
  /** True if a transaction failed only because of another one: it was rolled back, and may be run again. */
  isConflict(error: unknown): boolean
  /** Waits for what is under way, then lets go of the database. May be called twice. */
  close(): Promise<void>
}
