import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'

export interface CountedTable {
  readonly schema: string
  readonly name: string
  readonly rows: number
}

export interface RowCounts {
  readonly tables: CountedTable[]
  uncounted: number
}

const ANSWER_SLACK_MS = 60_000
const MOST_TABLES = 10_000
/** Tables whose rows a dump holds, the small ones first; those of extensions come from their scripts. */
const TABLES = `
  SELECT nspname, relname, format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'r' AND relpersistence = 'p' AND nspname <> 'information_schema' AND nspname !~ '^pg_' AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
  ORDER BY relpages, c.oid`

/**
 * Counts rows in the transaction that is open on `link`, smallest tables first, until `budgetMs` are over. What cannot be counted
 * (row security, no time) is told by its number only.
 */
export async function countRows(link: Link, budgetMs: number, signal: AbortSignal): Promise<RowCounts> {
  const ends = performance.now() + budgetMs
  const [set] = await link.rows(`SET LOCAL row_security = off; ${TABLES}`, COMMAND_IDLE_MS, signal, MOST_TABLES)
  const rows = set?.rows ?? []
  const counts: RowCounts = { tables: [], uncounted: (set?.count ?? 0) - rows.length }
  for (const [schema, name, table] of rows) {
    const leftMs = Math.floor(ends - performance.now())
    const counted = leftMs > 0 ? await countOne(link, table!, leftMs, signal) : null
    if (counted === null) counts.uncounted++
    else counts.tables.push({ schema: schema!, name: name!, rows: counted })
  }
  return counts
}

async function countOne(link: Link, table: string, leftMs: number, signal: AbortSignal): Promise<number | null> {
  try {
    const sql = `SAVEPOINT counted; SET LOCAL statement_timeout = ${leftMs}; SELECT count(*) FROM ONLY ${table}; RELEASE counted`
    const [set] = await link.rows(sql, leftMs + ANSWER_SLACK_MS, signal)
    return Number(set?.rows[0]?.[0])
  } catch (error) {
    if (!(error instanceof ServerError) || error.fatal) throw error
    await link.rows('ROLLBACK TO counted; RELEASE counted', ANSWER_SLACK_MS, signal)
    return null
  }
}

/** The rows of some tables now, and the first of them that differs. */
export async function compareRows(
  link: Link,
  expected: readonly CountedTable[],
  signal: AbortSignal,
): Promise<{ readonly same: number; readonly differs: string | null }> {
  let same = 0
  for (const { schema, name, rows } of expected) {
    const table = `${ident(schema)}.${ident(name)}`
    const found = await countNow(link, table, signal)
    if (found !== rows) return { same, differs: `${table} has ${found ?? 'no'} rows instead of ${rows}` }
    same++
  }
  return { same, differs: null }
}

const COUNT_MS = 600_000

async function countNow(link: Link, table: string, signal: AbortSignal): Promise<number | null> {
  try {
    const [set] = await link.rows(`SELECT count(*) FROM ONLY ${table}`, COUNT_MS, signal)
    return Number(set?.rows[0]?.[0])
  } catch (error) {
    if (!(error instanceof ServerError) || error.fatal) throw error
    return null
  }
}

export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`
