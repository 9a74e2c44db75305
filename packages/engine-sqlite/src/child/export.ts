import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { exportCsv } from './export-csv.ts'
import { exportSql } from './export-sql.ts'
import { tablesIn } from './export-tables.ts'
import { coded, type Report, type RequestOf } from './messages.ts'

/**
 * Reads a restored copy as `examine` does: read-only, immutable, nothing in its schema trusted, and writes it as files into a
 * folder that nobody else uses.
 */
export function exportFiles({ path, folder, format, tables }: RequestOf<'export'>): Report {
  const database = new Database(`${pathToFileURL(path).href}?immutable=1`, { readonly: true })
  try {
    for (const setting of ['trusted_schema = OFF', 'cell_size_check = ON', 'query_only = ON', 'mmap_size = 0']) {
      database.pragma(setting)
    }
    const all = tablesIn(database)
    const unknown = tables?.find((name) => !all.some((table) => table.name === name))
    if (unknown !== undefined) throw coded('NO_TABLE', unknown)
    const wanted = all.filter(({ name }) => tables === null || tables.includes(name))
    const files =
      format === 'csv'
        ? exportCsv(database, wanted, folder)
        : [exportSql(database, wanted, join(folder, 'database.sql'), tables === null)]
    return { report: 'exported', files }
  } finally {
    database.close()
  }
}
