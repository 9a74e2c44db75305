import type { ExportedFile } from '@salvor/shared/ports/reading'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { strings, TYPE } from '../protocol/messages.ts'
import type { Exporting } from './export.ts'
import { tablesOf, type FoundTable } from './tables.ts'

const IDLE_MS = 3_600_000

/** A file for each table of a database: RFC 4180 with a header, NULL as nothing, an empty text as "". */
export async function exportCsv(exporting: Exporting, database: string, base: string): Promise<ExportedFile[]> {
  const { sandbox, request, signal, context } = exporting
  await using link = await sandbox.connect(database, signal)
  await link.rows("SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; SET row_security = off", IDLE_MS, signal)
  const files: ExportedFile[] = []
  let done = 0
  for (const [i, table] of (await tablesOf(link, request.parts, signal)).entries()) {
    if (i === 0) mkdirSync(join(request.folder, base), { mode: 0o700 })
    const file = join(base, fileOf(i, table))
    const fd = openSync(join(request.folder, file), 'wx', 0o600)
    let rows = 0
    try {
      const exchange = {
        message(type: number, body: Buffer): void {
          if (type === TYPE.commandComplete) rows = Number(strings(body)[0]?.split(' ')[1] ?? 0)
        },
        copyData(part: Buffer): undefined {
          for (let at = 0; at < part.length;) at += writeSync(fd, part, at)
          done += part.length
        },
      }
      // The query form has generated columns, too.
      const sql = `COPY (SELECT * FROM ONLY ${table.quoted}) TO STDOUT WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')`
      await link.run(sql, exchange, () => IDLE_MS, signal)
    } finally {
      closeSync(fd)
    }
    context.progress({ phase: `export ${database}`, done_bytes: done, total_bytes: null })
    files.push({ file, what: `${database}: ${table.schema}.${table.name}`, rows })
  }
  return files
}

/** The number makes it unique; names of tables are never trusted as paths. */
const fileOf = (index: number, { schema, name }: FoundTable): string =>
  `${String(index + 1).padStart(4, '0')}-${plain(schema)}.${plain(name)}.csv`
const plain = (name: string): string => name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 63)
