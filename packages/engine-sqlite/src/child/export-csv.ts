import { join } from 'node:path'
import type Database from 'better-sqlite3'
import { columnsOf, ident, type ExportTable } from './export-tables.ts'
import type { WrittenFile } from './messages.ts'
import { TextFile } from './text-file.ts'

/** A file for each table: RFC 4180 with a header, NULL as nothing, an empty text as "", a blob as \x and hex. */
export function exportCsv(database: Database.Database, tables: readonly ExportTable[], folder: string): WrittenFile[] {
  return tables.map((table, i) => {
    const file = `${String(i + 1).padStart(4, '0')}-${table.name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 63)}.csv`
    return { file, what: table.name, rows: writeTable(database, table.name, join(folder, file)) }
  })
}

function writeTable(database: Database.Database, table: string, path: string): number {
  const columns = columnsOf(database, table, true)
  using out = new TextFile(path)
  out.write(`${columns.map(quoted).join(',')}\n`)
  let rows = 0
  const sql = `SELECT ${columns.map(ident).join(', ')} FROM ${ident(table)}`
  for (const row of database.prepare(sql).raw().safeIntegers().iterate() as Iterable<unknown[]>) {
    out.write(`${row.map(field).join(',')}\n`)
    rows++
  }
  out.end()
  return rows
}

function field(value: unknown): string {
  if (value === null) return ''
  if (typeof value === 'string') return quoted(value)
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : ''
}

const quoted = (text: string): string =>
  text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
