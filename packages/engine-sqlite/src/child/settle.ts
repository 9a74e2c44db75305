import Database from 'better-sqlite3'
import type { Report, RequestOf } from './messages.ts'

/** Makes one file of a copy and the log or journal that lies beside it. Only ever used on copies. */
export async function settle(request: RequestOf<'settle'>): Promise<Report> {
  const database = new Database(request.path, { fileMustExist: true })
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
    database.pragma('wal_checkpoint(TRUNCATE)')
  } finally {
    database.close()
  }
  return { report: 'settled' }
}
