import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import type { Command, Report, ReportOf, RequestOf } from './messages.ts'
import { missingPart, speakableError } from './speakable.ts'
import type { Line } from './line.ts'

const PROBLEMS_SHOWN = 3
/** SQLite's own default; the driver's is 16 MB. Checks read page after page: a small cache stays in the processor's, and takes a seventh less time. */
const CACHE_KIB = 2000
type Finding = Omit<ReportOf<'examined'>, 'report'>

/**
 * Opens a restored copy that may come from anybody: read-only and immutable (no lock, no -wal, no -shm, no recovery), no
 * extensions, and nothing in its schema is trusted. One command at a time; the parent ends this process at any moment.
 */
export async function examine(request: RequestOf<'examine'>, line: Line): Promise<Report> {
  // Names are given as file: URLs here; the parent switches that on in the environment of this process.
  const database = new Database(`${pathToFileURL(request.path).href}?immutable=1`, { readonly: true })
  for (const setting of ['trusted_schema = OFF', 'cell_size_check = ON', 'query_only = ON', 'mmap_size = 0']) {
    database.pragma(setting)
  }
  line.report({ report: 'opened' })
  for (;;) {
    const command = await line.next()
    if (command.command === 'release') {
      database.close()
      return { report: 'released', lock_ms: 0 }
    }
    line.report({ report: 'examined', ...look(database, command) })
  }
}

function look(database: Database.Database, command: Command): Finding {
  const sql = command.command === 'check' ? command.sql : ''
  try {
    // The first setting that reads the file.
    database.pragma(`cache_size = -${CACHE_KIB}`)
    if (command.command === 'integrity') return integrity(database)
    if (command.command === 'foreign_keys') return foreignKeys(database)
    return check(database, sql)
  } catch (error) {
    return { ok: false, detail: speakableError(error, sql), missing: missingPart(error, sql) }
  }
}

function integrity(database: Database.Database): Finding {
  const problems = database.prepare<[], string>('PRAGMA integrity_check').pluck().all()
  if (problems.length === 1 && problems[0] === 'ok') return { ok: true, detail: 'ok', missing: null }
  const shown = problems.slice(0, PROBLEMS_SHOWN).join('; ').replace(/\s+/g, ' ').slice(0, 300)
  return { ok: false, detail: `${problems.length} problems: ${shown}`, missing: null }
}

/** A parent table without the key that a reference names: SQLite lets such a schema be, and cannot count its references. */
const MISMATCH = 'foreign key mismatch'

/**
 * Told, never held against a copy: SQLite does not enforce references unless a program asks for it, so many databases have rows that
 * point to nothing, and a good copy has them too. Whoever wants none writes a check: `SELECT count(*) = 0 FROM pragma_foreign_key_check`.
 */
function foreignKeys(database: Database.Database): Finding {
  const counts = new Map<string, number>()
  try {
    for (const row of database.prepare<[], { table: string }>('PRAGMA foreign_key_check').iterate()) {
      counts.set(row.table, (counts.get(row.table) ?? 0) + 1)
    }
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith(MISMATCH))) throw error
    return { ok: true, detail: 'not countable: a reference names no key of its parent table', missing: null }
  }
  if (counts.size === 0) return { ok: true, detail: '0 rows point to nothing', missing: null }
  const tables = [...counts].slice(0, PROBLEMS_SHOWN).map(([table, count]) => `${count} in ${table.slice(0, 60)}`)
  const more = counts.size > PROBLEMS_SHOWN ? `, and ${counts.size - PROBLEMS_SHOWN} more tables` : ''
  return {
    ok: true,
    detail: `rows that point to nothing, as in the source: ${tables.join(', ')}${more}`,
    missing: null,
  }
}

/** Passes when there is exactly one row whose first column is true. What the rows hold stays here. */
function check(database: Database.Database, sql: string): Finding {
  const statement = database.prepare(sql)
  if (!statement.reader || !statement.readonly) return { ok: false, detail: 'not a query', missing: null }
  const rows: unknown[][] = []
  for (const row of statement.raw().iterate() as Iterable<unknown[]>) {
    rows.push(row)
    if (rows.length === 2) break
  }
  if (rows.length !== 1) return { ok: false, detail: rows.length === 0 ? '0 rows' : 'more than 1 row', missing: null }
  const value = rows[0]?.[0]
  if (value === 1) return { ok: true, detail: '1 row, true', missing: null }
  const said = value === 0 ? 'false' : value === null ? 'null' : 'neither true nor false'
  return { ok: false, detail: `1 row, ${said}`, missing: null }
}
