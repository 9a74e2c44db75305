import type { RestoreParts } from '@salvor/shared/ports/engine'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import { splitTable } from '../logical/parts.ts'
import type { Link } from '../protocol/link.ts'

export interface FoundTable {
  readonly schema: string
  readonly name: string
  /** Quoted, for SQL and for the patterns of pg_dump. */
  readonly quoted: string
}

const MOST_TABLES = 1_000_000
/** Tables and materialised views with rows of their own; a partitioned table's are in its partitions. */
const TABLES = `
  SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE (relkind = 'r' OR (relkind = 'm' AND relispopulated)) AND relpersistence <> 't'
    AND nspname <> 'information_schema' AND nspname !~ '^pg_'
  ORDER BY nspname, relname`

/** The tables of a database that are asked for, by their exact names. */
export async function tablesOf(
  link: Link,
  parts: RestoreParts | undefined,
  signal: AbortSignal,
): Promise<FoundTable[]> {
  const [set] = await link.rows(TABLES, COMMAND_IDLE_MS, signal, MOST_TABLES)
  const all =
    set?.rows.map(([schema, name]) => ({
      schema: schema!,
      name: name!,
      quoted: `${ident(schema!)}.${ident(name!)}`,
    })) ?? []
  return all.filter((table) => isWanted(table, parts))
}

function isWanted({ schema, name }: FoundTable, parts: RestoreParts | undefined): boolean {
  const { schemas = [], tables = [] } = parts ?? {}
  if (schemas.length === 0 && tables.length === 0) return true
  if (schemas.includes(schema)) return true
  // Names may hold dots themselves.
  return tables.some((wish) => {
    const { schema: inSchema, table } = splitTable(wish)
    return wish === name || wish === `${schema}.${name}` || (inSchema === null && table === name)
  })
}

export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`
