import { SalvorError } from '@salvor/shared/errors/salvor-error'

import type { ExportedFile, ExportRequest } from '@salvor/shared/ports/reading'
import type { Site } from './site.ts'
import { startSqlite } from './sqlite-process.ts'

/** Writes a restored copy as SQL or CSV, in an isolated process. */
export async function exportCopy(
  site: Site,
  request: ExportRequest,
  signal: AbortSignal,
): Promise<readonly ExportedFile[]> {
  const { restored: path, folder, format, parts } = request
  const { source, scratch_dir: scratch } = site.context
  if (parts?.databases?.length || parts?.schemas?.length)
    throw usage('a SQLite backup is one database without schemas: use --table')
  const failure = ({ code, text }: { readonly code: string; readonly text: string }) => {
    if (code === 'NO_TABLE') return usage(`the backup of ${source} has no table ${text}`)
    if (code === 'ENOSPC' || code === 'EDQUOT') return new SalvorError('DISK_FULL', { what: folder })
    return new SalvorError(
      'RESTORE_FAILED',
      { target: folder, reason: `SQLite does not read it (${code})` },
      new Error(text),
    )
  }
  const tables = parts?.tables?.length ? [...parts.tables] : null
  site.context.progress({ phase: 'export', done_bytes: 0, total_bytes: null })
  await using sqlite = startSqlite({ task: 'export', path, folder, format, tables }, { scratch, signal, failure })
  const { files } = await sqlite.next('exported')
  return files
}

const usage = (reason: string): SalvorError => new SalvorError('USAGE', { reason, command: 'export' })
