import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { Sandbox } from './sandbox.ts'
import { codeOf, databases, throwIfMissing, type ReadBudget } from './tables.ts'

/** One of the server's own extensions that look for damage, and what it looks at. */
export interface Extension {
  readonly name: string
  /** For people. */
  readonly objects: string
  /** Object ids, the small ones first. */
  readonly list: string
  /** Gives the number of problems of the object `oid`, with the functions of schema `s`. */
  readonly check: (s: string, oid: string) => string
}

/**
 * Other machines sort text in other ways: an index of a collation that is not C may look damaged here and be good at the
 * source.
 */
const SORTED_ALIKE = `NOT EXISTS (
  SELECT FROM unnest(indcollation::oid[]) u (o) JOIN pg_collation co ON co.oid = u.o, pg_database d
  WHERE d.datname = current_database() AND co.collname NOT IN ('C', 'POSIX') AND NOT (co.collname = 'default'
    AND d.datcollate IN ('C', 'POSIX') AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'))`

const INDEXES = `
  SELECT c.oid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
  WHERE amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND indisvalid AND indisready AND ${SORTED_ALIKE}
  ORDER BY c.relpages, c.oid`
const TABLES = `
  SELECT oid FROM pg_class WHERE relkind IN ('r', 'm', 't') AND relpersistence = 'p'
    AND relam = (SELECT oid FROM pg_am WHERE amname = 'heap') ORDER BY relpages, oid`

export function extensionsOf(major: number): readonly Extension[] {
  const indexes: Extension = {
    name: 'amcheck',
    objects: 'indexes',
    list: INDEXES,
    check: (s, oid) => `SELECT count(${s}.bt_index_check(${oid}::regclass)) - 1`,
  }
  const heaps: Extension = {
    name: 'amcheck',
    objects: 'heaps',
    list: TABLES,
    check: (s, oid) => `SELECT count(*) FROM ${s}.verify_heapam(${oid}::regclass, on_error_stop => true)`,
  }
  const visibility: Extension = {
    name: 'pg_visibility',
    objects: 'visibility maps',
    list: TABLES,
    check: (s, oid) =>
      `SELECT (SELECT count(*) FROM ${s}.pg_check_visible(${oid}::regclass)) + (SELECT count(*) FROM ${s}.pg_check_frozen(${oid}::regclass))`,
  }
  return major >= 14 ? [indexes, heaps, visibility] : [indexes, visibility]
}

export interface Examined {
  checked: number
  /** Not looked at within the budget. */
  skipped: number
  /** The first damage; names and codes only. */
  problem: string | null
  /** The server here has the extension. */
  available: boolean
}

const ANSWER_SLACK_MS = 60_000
const MOST_OBJECTS = 1_000_000
const QUERY_CANCELED = '57014'

/** Runs one extension over every database. The copy is changed by it: the extension is made where it was not. */
export async function examine(
  sandbox: Sandbox,
  extension: Extension,
  source: string,
  budget: ReadBudget,
  signal: AbortSignal,
): Promise<Examined> {
  const result: Examined = { checked: 0, skipped: 0, problem: null, available: true }
  for (const database of await databases(sandbox, signal)) {
    try {
      await using link = await sandbox.connect(database, signal)
      const schema = await schemaOf(link, extension, signal)
      if (schema === null) return { ...result, available: false }
      await examineDatabase(link, { ...extension, check: (_, oid) => extension.check(schema, oid) }, result, {
        database,
        budget,
        signal,
      })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof SalvorError) throw error
      throwIfMissing(error, source)
      result.problem ??= `${database}: ${codeOf(error)}`
    }
  }
  return result
}

const PREPARE =
  'SET session_replication_role = replica; SET default_transaction_read_only = off; SET search_path = pg_catalog'

/** The schema of its functions, quoted; null where the server here does not have it. */
async function schemaOf(link: Link, { name }: Extension, signal: AbortSignal): Promise<string | null> {
  await link.rows(PREPARE, ANSWER_SLACK_MS, signal)
  const [available] = await link.rows(
    `SELECT 1 FROM pg_available_extensions WHERE name = '${name}'`,
    ANSWER_SLACK_MS,
    signal,
  )
  if (available?.count !== 1) return null
  await link.rows(`CREATE EXTENSION IF NOT EXISTS ${name} SCHEMA pg_catalog`, ANSWER_SLACK_MS, signal)
  const schema = `SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = '${name}'`
  const [set] = await link.rows(schema, ANSWER_SLACK_MS, signal)
  return set?.rows[0]?.[0] ?? null
}

async function examineDatabase(
  link: Link,
  { list, check }: Extension,
  result: Examined,
  { database, budget, signal }: { database: string; budget: ReadBudget; signal: AbortSignal },
): Promise<void> {
  const [set] = await link.rows(list, ANSWER_SLACK_MS, signal, MOST_OBJECTS)
  result.skipped += (set?.count ?? 0) - (set?.rows.length ?? 0)
  for (const [oid] of set?.rows ?? []) {
    const leftMs = Math.floor(budget.leftMs())
    if (leftMs <= 0) {
      result.skipped++
      continue
    }
    try {
      const sql = `SET statement_timeout = ${leftMs}; ${check('', oid!)}`
      const answers = await link.rows(sql, leftMs + ANSWER_SLACK_MS, signal)
      result.checked++
      if (answers.at(-1)?.rows[0]?.[0] !== '0') result.problem ??= `${database}: ${await nameOf(link, oid!, signal)}`
    } catch (error) {
      if (!(error instanceof ServerError) || error.fatal) throw error
      if (error.sqlState === QUERY_CANCELED) result.skipped++
      else result.problem ??= `${database}: ${await nameOf(link, oid!, signal)}: ${codeOf(error)}`
    }
  }
}

async function nameOf(link: Link, oid: string, signal: AbortSignal): Promise<string> {
  const [set] = await link.rows(`SELECT ${oid}::regclass`, ANSWER_SLACK_MS, signal)
  return set?.rows[0]?.[0] ?? oid
}
