import type Database from 'better-sqlite3'

/** A table with rows of its own. */
export interface ExportTable {
  readonly name: string
  readonly sql: string
  readonly virtual: boolean
}

const TABLES = `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid`

export function tablesIn(database: Database.Database): ExportTable[] {
  const rows = database.prepare<[], { name: string; sql: string }>(TABLES).all()
  return rows.map(({ name, sql }) => ({ name, sql, virtual: /^\s*create\s+virtual\b/i.test(sql) }))
}

export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Columns that an INSERT may name: generated ones and the hidden ones of virtual tables are not among them. */
export function columnsOf(database: Database.Database, table: string, all: boolean): string[] {
  const rows = database
    .prepare<[string], { name: string; hidden: number }>('SELECT name, hidden FROM pragma_table_xinfo(?)')
    .all(table)
  return rows.filter(({ hidden }) => hidden === 0 || (all && hidden !== 1)).map(({ name }) => name)
}
