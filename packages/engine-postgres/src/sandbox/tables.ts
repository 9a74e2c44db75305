import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Link } from '../protocol/link.ts'
import { LinkLost, ServerError } from '../protocol/server-error.ts'
import type { Sandbox } from './sandbox.ts'
import { cannotVerify } from './missing.ts'

/** How long the reading of all tables may take; what is left then is counted, not failed. */
export interface ReadBudget {
  leftMs(): number
}

export interface TablesRead {
  databases: number
  tables: number
  /** Not read within the budget. */
  skipped: number
  /** The first thing that could not be read; names and codes only. */
  problem: string | null
}

const ANSWER_SLACK_MS = 60_000
const MOST_TABLES = 200_000
const QUERY_CANCELED = '57014'
const DATABASES = 'SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname'
/** Tables and materialised views with their rows stored here, the small ones first. */
const TABLES = `
  SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND (relkind = 'r' OR relispopulated)
  ORDER BY relpages, relname`
/** Every page of the table itself is read, not only an index of it. */
const WHOLE_TABLES =
  'SET enable_indexonlyscan = off; SET enable_indexscan = off; SET enable_bitmapscan = off; SET default_transaction_read_only = on'

/** Connects to every database, and reads every table to its end as far as the budget goes. */
export async function readTables(
  sandbox: Sandbox,
  source: string,
  budget: ReadBudget,
  signal: AbortSignal,
): Promise<TablesRead> {
  const read: TablesRead = { databases: 0, tables: 0, skipped: 0, problem: null }
  for (const database of await databases(sandbox, signal)) {
    try {
      await using link = await sandbox.connect(database, signal)
      read.databases++
      await readDatabase(link, database, read, budget, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof SalvorError) throw error
      throwIfMissing(error, source)
      read.problem ??= `${database}: ${codeOf(error)}`
    }
  }
  return read
}

/** Names of the databases that can be connected to. */
export async function databases(sandbox: Sandbox, signal: AbortSignal): Promise<string[]> {
  await using link = await sandbox.connect('template1', signal)
  const [set] = await link.rows(DATABASES, ANSWER_SLACK_MS, signal)
  return set?.rows.flatMap(([name]) => (typeof name === 'string' ? [name] : [])) ?? []
}

async function readDatabase(
  link: Link,
  database: string,
  read: TablesRead,
  budget: ReadBudget,
  signal: AbortSignal,
): Promise<void> {
  await link.rows(WHOLE_TABLES, ANSWER_SLACK_MS, signal)
  const [set] = await link.rows(TABLES, ANSWER_SLACK_MS, signal, MOST_TABLES)
  const names = set?.rows.map(([name]) => name!) ?? []
  read.skipped += (set?.count ?? 0) - names.length
  for (const name of names) {
    const leftMs = Math.floor(budget.leftMs())
    if (leftMs <= 0) {
      read.skipped++
      continue
    }
    try {
      await link.rows(
        `SET statement_timeout = ${leftMs}; SELECT count(*) FROM ONLY ${name}`,
        leftMs + ANSWER_SLACK_MS,
        signal,
      )
      read.tables++
    } catch (error) {
      if (!(error instanceof ServerError) || error.fatal) throw error
      if (error.sqlState === QUERY_CANCELED) read.skipped++
      else read.problem ??= `${database}: ${name}: ${codeOf(error)}`
    }
  }
}

/** A code, never a message: a server's text may quote a value. */
export function codeOf(error: unknown): string {
  if (error instanceof ServerError) return `SQLSTATE ${error.sqlState}`
  return error instanceof LinkLost ? `the server closed the connection (${error.message})` : 'unexpected answer'
}

export function throwIfMissing(error: unknown, source: string): void {
  const missing = error instanceof ServerError ? cannotVerify(error, source) : null
  if (missing !== null) throw missing
}
