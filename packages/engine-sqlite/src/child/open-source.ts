import { accessSync, closeSync, constants, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { HEADER_BYTES, parseHeader } from '../header.ts'
import { coded, type DatabaseFacts, type FileIdentity } from './messages.ts'
import { closeNow, neverClose } from './never-closed.ts'
import { SHORT_WAIT_MS, untilFree } from './until-free.ts'

export interface OpenSource extends Disposable {
  readonly file: FileIdentity
  readonly wal: boolean
  /** Another connection to the same database, which has read it once. Later reads go through `untilFree` too. */
  connect(waitMs: number, access?: Access): Database.Database
  /**
   * Closes the connections in a process that goes on, and leaves the log where it is: the read-only ones are closed last, and the last
   * to close moves the log only where it may lock the main file for writing.
   */
  leave(): void
}

export type Access = 'read-write' | 'read-only'

/**
 * Looks at page 1 before SQLite has the file open: closing a descriptor drops this process's locks on the file, so no
 * raw look is allowed afterwards. Dispose leaves the folder as it was found: where no write-ahead log lay, closing
 * removes the one that opening made; where one lay, the connections are left to the end of the process, because the
 * last one to close would move the log into the main file and delete it.
 */
export function openSource(path: string, isOpen: (file: FileIdentity) => boolean = () => false): OpenSource {
  const file = identityOf(path)
  const wal = readHeader(path, isOpen)
  if (wal) assertWritable(path)
  const logFound = existsSync(`${path}-wal`)
  const open = new Map<Database.Database, Access>()
  const source: OpenSource = {
    file,
    wal,
    connect(waitMs, access = 'read-write') {
      const readonly = access === 'read-only'
      const database = neverClose(new Database(path, { fileMustExist: true, timeout: SHORT_WAIT_MS, readonly }))
      open.set(database, access)
      untilFree(() => database.pragma('cache_size = -2000'), waitMs)
      untilFree(() => database.prepare('SELECT count(*) FROM sqlite_schema').get(), waitMs)
      return database
    },
    [Symbol.dispose]() {
      if (logFound) return
      for (const database of open.keys()) database.close()
    },
    leave() {
      for (const access of ['read-write', 'read-only'])
        for (const [database, own] of open) if (own === access) closeNow(database)
      open.clear()
    },
  }
  return source
}

export function identityOf(path: string): FileIdentity {
  const { dev, ino } = statSync(path, { bigint: true })
  return { dev, ino }
}

/** True for WAL mode. An empty file is an empty database. A file that this process has open already is not closed, ever: that would drop its locks. */
function readHeader(path: string, isOpen: (file: FileIdentity) => boolean): boolean {
  const fd = openSync(path, constants.O_RDONLY)
  const { dev, ino } = fstatSync(fd, { bigint: true })
  if (isOpen({ dev, ino })) throw coded('EREPLACED', 'this process follows the same file by another name')
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw coded('EISDIR', 'it is not a file')
    if (stat.size === 0) return false
    const bytes = Buffer.alloc(HEADER_BYTES)
    const header = parseHeader(bytes.subarray(0, readSync(fd, bytes, 0, HEADER_BYTES, 0)))
    if (!header) throw coded('SQLITE_NOTADB', 'file is not a database')
    return header.wal
  } finally {
    closeSync(fd)
  }
}

/** In WAL mode even readers write to the -shm file; SQLite's own message for this ("unable to open") helps nobody. */
function assertWritable(path: string): void {
  const needed = [path, ...['-wal', '-shm'].map((end) => (existsSync(path + end) ? path + end : dirname(path)))]
  for (const place of needed) accessSync(place, constants.W_OK)
}

/** Facts inside the transaction that the connection is in. */
export function factsOf(database: Database.Database): DatabaseFacts {
  const number = (pragma: string): number => Number(database.pragma(pragma, { simple: true }))
  return {
    sqlite_version: String(database.prepare('SELECT sqlite_version()').pluck().get()),
    journal_mode: String(database.pragma('journal_mode', { simple: true })),
    page_size: number('page_size'),
    page_count: number('page_count'),
    data_version: number('data_version'),
    auto_vacuum: number('auto_vacuum'),
    user_version: number('user_version'),
    application_id: number('application_id'),
  }
}
