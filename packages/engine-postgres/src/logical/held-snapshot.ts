import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Link } from '../protocol/link.ts'
import { LinkLost, ServerError } from '../protocol/server-error.ts'
import { countRows, type RowCounts } from './row-counts.ts'

/** A transaction whose state pg_dump takes over, so that rows can be counted in the very same state. */
export interface HeldSnapshot extends AsyncDisposable {
  /** For `pg_dump --snapshot`. */
  readonly snapshot: string
  readonly lsn: string | null
  /** Counts what `budgetMs` allow. A transaction that was lost meanwhile counts nothing, and spoils no dump. */
  counts(budgetMs: number): Promise<RowCounts>
}

const BEGIN = `
  BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SELECT set_config(name, '0', true) FROM pg_settings
  WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`

/** Takes `link` over. */
export async function holdSnapshot(link: Link, signal: AbortSignal): Promise<HeldSnapshot> {
  try {
    const lsn = await position(link, signal)
    await link.rows(BEGIN, COMMAND_IDLE_MS, signal)
    const [set] = await link.rows('SELECT pg_export_snapshot()', COMMAND_IDLE_MS, signal)
    return {
      snapshot: set?.rows[0]?.[0] ?? '',
      lsn,
      async counts(budgetMs) {
        try {
          return await countRows(link, budgetMs, signal)
        } catch (error) {
          signal.throwIfAborted()
          if (error instanceof ServerError || error instanceof LinkLost) return { tables: [], uncounted: 0 }
          throw error
        }
      },
      [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
    }
  } catch (error) {
    link.close()
    throw error
  }
}

const POSITION = 'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END'

/** Some managed servers do not tell. */
async function position(link: Link, signal: AbortSignal): Promise<string | null> {
  try {
    const [set] = await link.rows(POSITION, COMMAND_IDLE_MS, signal)
    return set?.rows[0]?.[0] ?? null
  } catch (error) {
    if (error instanceof ServerError && !error.fatal) return null
    throw error
  }
}
