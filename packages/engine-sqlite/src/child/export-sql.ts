import type Database from 'better-sqlite3'
import { columnsOf, ident, type ExportTable } from './export-tables.ts'
import type { WrittenFile } from './messages.ts'
import { TextFile } from './text-file.ts'

/**
 * Statements that make the database anew, as the .dump of SQLite's own shell does: tables with their rows, then indexes, triggers and
 * views. Virtual tables are put into the schema as they are, since their contents lie in tables of their own.
 */
export function exportSql(
  database: Database.Database,
  tables: readonly ExportTable[],
  path: string,
  whole: boolean,
): WrittenFile {
  using out = new TextFile(path)
  const line = (sql: string) => out.write(`${sql};\n`)
  if (whole)
    for (const name of ['encoding', 'page_size', 'auto_vacuum']) line(`PRAGMA ${name} = ${settingOf(database, name)}`)
  line('PRAGMA foreign_keys = OFF')
  line('BEGIN TRANSACTION')
  const virtual = tables.filter((table) => table.virtual)
  if (virtual.length > 0) line('PRAGMA writable_schema = ON')
  for (const { name, sql } of virtual) {
    line(
      `INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('table', ${text(name)}, ${text(name)}, 0, ${text(sql)})`,
    )
  }
  let rows = 0
  for (const table of tables) {
    if (table.virtual) continue
    line(table.sql)
    rows += writeRows(database, table.name, out)
  }
  if (virtual.length > 0) line('PRAGMA writable_schema = RESET')
  writeSequences(database, tables, out)
  for (const sql of othersOf(database, tables, whole)) line(sql)
  if (whole)
    for (const name of ['user_version', 'application_id']) line(`PRAGMA ${name} = ${settingOf(database, name)}`)
  line('COMMIT')
  out.end()
  return { file: 'database.sql', what: `${tables.length} tables`, rows }
}

function writeRows(database: Database.Database, table: string, out: TextFile): number {
  const columns = columnsOf(database, table, false)
  const into = `INSERT INTO ${ident(table)} (${columns.map(ident).join(', ')}) VALUES (`
  const values = columns.map((column) => literalOf(ident(column))).join(` || ', ' || `)
  let rows = 0
  for (const row of database
    .prepare<[], string>(`SELECT ${values} FROM ${ident(table)}`)
    .pluck()
    .iterate()) {
    out.write(`${into}${row});\n`)
    rows++
  }
  return rows
}

/** SQLite's own quote() cuts a text at its first NUL, and has no word for an infinity. */
function literalOf(column: string): string {
  return `CASE WHEN typeof(${column}) = 'text' AND instr(${column}, char(0)) > 0 THEN 'CAST(X''' || hex(CAST(${column} AS BLOB)) || ''' AS TEXT)'
    WHEN typeof(${column}) = 'real' AND abs(${column}) > 1.7976931348623157e308 THEN iif(${column} > 0, '9e999', '-9e999')
    ELSE quote(${column}) END`
}

/** What AUTOINCREMENT has given out. The table comes into being with the first that uses it. */
function writeSequences(database: Database.Database, tables: readonly ExportTable[], out: TextFile): void {
  const there = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").get()
  if (!there) return
  for (const { name, seq } of database
    .prepare<[], { name: string; seq: bigint }>('SELECT name, seq FROM sqlite_sequence')
    .safeIntegers()
    .all()) {
    if (!tables.some((table) => table.name === name)) continue
    out.write(
      `DELETE FROM sqlite_sequence WHERE name = ${text(name)};\nINSERT INTO sqlite_sequence (name, seq) VALUES (${text(name)}, ${seq});\n`,
    )
  }
}

function othersOf(database: Database.Database, tables: readonly ExportTable[], whole: boolean): string[] {
  const sql =
    "SELECT sql, tbl_name FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY type = 'trigger', rowid"
  const rows = database.prepare<[], { sql: string; tbl_name: string }>(sql).all()
  return rows.filter(({ tbl_name }) => whole || tables.some(({ name }) => name === tbl_name)).map((row) => row.sql)
}

function settingOf(database: Database.Database, name: string): string {
  const value = database.pragma(name, { simple: true })
  return typeof value === 'string' ? text(value) : String(value)
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
