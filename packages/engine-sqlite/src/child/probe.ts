import { statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import { sizeFault } from '../header.ts'
import { coded, type Report, type RequestOf } from './messages.ts'
import { factsOf, openSource } from './open-source.ts'
import { untilFree } from './until-free.ts'

/** Looks at a database through one short read transaction. */
export async function probe(request: RequestOf<'probe'>): Promise<Report> {
  using source = openSource(request.path)
  const database = source.connect(request.lock_wait_ms)
  // A connection inside a transaction is not allowed to ask about the log.
  const other = source.connect(request.lock_wait_ms)
  for (let look = 1; ; look += 1) {
    const seen = lookOnce(database, other, request)
    if (seen.fault === null) return { report: 'probed', facts: seen.facts, size: seen.size, file: source.file }
    // A checkpoint of the application may be writing a page at this moment.
    if (look === 3) throw coded('SQLITE_CORRUPT', seen.fault)
    await pause(50)
  }
}

function lookOnce(
  database: Database.Database,
  other: Database.Database,
  { path, lock_wait_ms: waitMs }: RequestOf<'probe'>,
) {
  database.exec('BEGIN')
  try {
    untilFree(() => database.prepare('SELECT count(*) FROM sqlite_schema').get(), waitMs)
    const facts = factsOf(database)
    const whole = facts.journal_mode !== 'wal' || logIsMoved(other)
    const { size } = statSync(path)
    return { facts, size, fault: whole ? sizeFault(size, facts.page_size, facts.page_count) : null }
  } finally {
    database.exec('ROLLBACK')
  }
}

/** Whether every frame of the write-ahead log lies in the main file too. */
function logIsMoved(database: Database.Database): boolean {
  const [row] = database.pragma('wal_checkpoint(NOOP)') as { log: number; checkpointed: number }[]
  return row !== undefined && row.log === row.checkpointed
}
