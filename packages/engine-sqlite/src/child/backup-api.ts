import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import { coded, type DatabaseFacts } from './messages.ts'

const STEP_BYTES = 4_000_000

/** Copies the snapshot of the read transaction that `reader` is in: nothing that others commit makes it start again. */
export async function copyInTransaction(reader: Database.Database, copy: string, facts: DatabaseFacts): Promise<void> {
  const pages = Math.max(1, Math.floor(STEP_BYTES / facts.page_size))
  await reader.backup(copy, { progress: () => pages })
  // The driver takes "nothing was copied because of a lock" for the end of a copy: the size tells.
  const size = statSync(copy, { throwIfNoEntry: false })?.size ?? 0
  if (size !== facts.page_size * facts.page_count) throw coded('SQLITE_BUSY', 'database is locked')
}
