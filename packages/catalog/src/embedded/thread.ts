import { parentPort } from 'node:worker_threads'
import Database from 'better-sqlite3'
import type { Answer, Posted, Reply, Request, Side, Statement } from './messages.ts'

// Runs in the worker thread: SQLite is synchronous, so a slow disk holds up this thread and not the service.

const STATEMENTS_KEPT = 256
const WAL_KEPT_BYTES = 64 * 1024 * 1024
const NOTHING: Answer = { columns: [], rows: [], changes: 0 }

interface Connection {
  readonly database: Database.Database
  readonly statements: Map<string, Database.Statement>
}
let connections: Record<Side, Connection> | null = null

function serve(request: Request): Answer {
  if (request.op === 'open') return open(request.path)
  if (request.op === 'close') return close()
  const connection = sideOf(request.side)
  if (request.op === 'rollback') return rollback(connection.database)
  for (const statement of request.before) query(connection, statement)
  return query(connection, request)
}

function open(path: string): Answer {
  if (connections !== null) return NOTHING
  const opened: Database.Database[] = []
  try {
    const write = new Database(path, { timeout: 0 })
    opened.push(write)
    if (write.pragma('journal_mode', { simple: true }) !== 'wal') write.pragma('journal_mode = wal')
    write.pragma('synchronous = full')
    write.pragma('foreign_keys = on')
    write.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`)
    const read = new Database(path, { timeout: 10_000 })
    opened.push(read)
    read.pragma('query_only = on')
    for (const database of opened) {
      database.pragma('trusted_schema = off')
      database.pragma('cell_size_check = on')
    }
    connections = {
      write: { database: write, statements: new Map() },
      read: { database: read, statements: new Map() },
    }
    return NOTHING
  } catch (error) {
    for (const database of opened) database.close()
    throw error
  }
}

function sideOf(side: Side): Connection {
  if (connections === null) throw Object.assign(new Error('the catalog is not open'), { code: 'SALVOR_CLOSED' })
  return connections[side]
}

function query(connection: Connection, { sql, parameters }: Statement): Answer {
  const statement = prepared(connection, sql)
  if (!statement.reader) return { ...NOTHING, changes: statement.run(...parameters).changes }
  const columns = statement.columns().map((column) => column.name)
  return { columns, rows: statement.all(...parameters) as unknown[][], changes: 0 }
}

function prepared({ database, statements }: Connection, sql: string): Database.Statement {
  const known = statements.get(sql)
  if (known) return known
  if (statements.size >= STATEMENTS_KEPT) statements.clear()
  const fresh = database.prepare(sql)
  if (fresh.reader) fresh.raw(true)
  statements.set(sql, fresh)
  return fresh
}

/** SQLite ends a transaction by itself when the disk is full, so there may be none left. */
function rollback(database: Database.Database): Answer {
  if (database.inTransaction) database.exec('rollback')
  return NOTHING
}

function close(): Answer {
  if (connections !== null) for (const side of ['read', 'write'] as const) connections[side].database.close()
  connections = null
  return NOTHING
}

function replyTo({ id, request }: Posted): Reply {
  try {
    return { id, answer: serve(request) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'SALVOR_BUG'
    return { id, error: { code, message: error instanceof Error ? error.message : String(error) } }
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.on('message', (posted: Posted) => parentPort?.postMessage(replyTo(posted)))
