import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import type { Report, RequestOf } from './messages.ts'
import { neverClose } from './never-closed.ts'

/**
 * Takes a WAL database for this process alone for a moment, which fails (SQLITE_BUSY) while anybody has it open: locks
 * are seen across containers and users, where a list of processes is not. This way of opening keeps its index in memory
 * and writes nothing; the connection is never closed, because closing would move the log: the parent ends the process.
 */
export async function claim(request: RequestOf<'claim'>): Promise<Report> {
  const name = `${pathToFileURL(request.path).href}?vfs=unix-excl`
  const database = neverClose(new Database(name, { fileMustExist: true, timeout: 0 }))
  database.prepare('SELECT count(*) FROM sqlite_schema').get()
  return { report: 'claimed' }
}
