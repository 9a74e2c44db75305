import type { Environment } from '../environment.ts'
import type { Choice } from './server.ts'

export interface DumpDeadlines {
  /** How long a lock on a table is waited for. */
  readonly lock_ms: number
  /** Silence of pg_dump before its first byte (it reads the catalogs) and later (a table whose rows are nearly all dead). */
  readonly first_ms: number
  readonly idle_ms: number
  /** Time for counting rows in one database. */
  readonly count_ms: number
}

export const DUMP_DEADLINES: DumpDeadlines = {
  lock_ms: 60_000,
  first_ms: 3_600_000,
  idle_ms: 3_600_000,
  count_ms: 30_000,
}

/** A source that is dumped. */
export interface LogicalEnvironment extends Environment {
  readonly choice: Choice
  readonly dumpDeadlines: DumpDeadlines
}
