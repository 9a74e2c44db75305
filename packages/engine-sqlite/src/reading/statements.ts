import type { Database, Sqlite3Static } from '@sqlite.org/sqlite-wasm'
import type { QueryPart, SqlValue } from '@salvor/shared/ports/reading'
import { whyRefused } from './authorize.ts'
import { DATABASE, VFS } from './state-vfs.ts'

const BATCH_ROWS = 256
const BATCH_BYTES = 1 << 20

export class Refused extends Error {}

/** Runs SQL over the state and hands out what it gives; whatever does more than read is refused before its first step. */
export class Statements {
  readonly #sqlite: Sqlite3Static
  readonly #db: Database
  #refused: string | null = null

  constructor(sqlite: Sqlite3Static) {
    const { capi, oo1 } = sqlite
    this.#sqlite = sqlite
    this.#db = new oo1.DB({ filename: DATABASE, flags: 'r', vfs: VFS })
    const set = (option: unknown, on: 0 | 1) => capi.sqlite3_db_config(this.#db, option as never, on, 0 as never)
    // What applications have written is to be read as their SQLite reads it, and trusted no further.
    set(capi.SQLITE_DBCONFIG_DQS_DDL, 1)
    set(capi.SQLITE_DBCONFIG_DQS_DML, 1)
    set(capi.SQLITE_DBCONFIG_DEFENSIVE, 1)
    set(capi.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    const authorize = (_arg: unknown, action: number, first: string | 0, second: string | 0): never => {
      const why = whyRefused(action, first === 0 ? null : first, second === 0 ? null : second)
      this.#refused ??= why
      return (why === null ? capi.SQLITE_OK : capi.SQLITE_DENY) as never
    }
    capi.sqlite3_set_authorizer(this.#db, authorize, 0)
  }

  /** Throws `Refused`, or what SQLite says. Ends early when `give` returns false. */
  run(sql: string, give: (part: QueryPart) => boolean): void {
    const { capi, wasm } = this.#sqlite
    const scope = wasm.scopedAllocPush()
    try {
      let [at, left] = wasm.scopedAllocCString(sql, true)
      const [statementAt, tailAt] = wasm.scopedAllocPtr(2) as [never, never]
      while (left > 0) {
        this.#refused = null
        const code = capi.sqlite3_prepare_v3(this.#db, at as never, left as never, 0, statementAt, tailAt)
        if (code !== capi.SQLITE_OK) throw this.#failure()
        const tail: number = wasm.peekPtr(tailAt)
        const statement = wasm.peekPtr(statementAt)
        left -= tail - at
        at = tail
        // A comment, or blanks.
        if (statement === 0) continue
        try {
          if (capi.sqlite3_stmt_readonly(statement) === 0) throw new Refused('a statement that writes')
          if (!this.#rows(statement, give)) return
        } finally {
          capi.sqlite3_finalize(statement)
        }
      }
    } finally {
      wasm.scopedAllocPop(scope)
    }
  }

  #rows(given: unknown, give: (part: QueryPart) => boolean): boolean {
    const { capi } = this.#sqlite
    const statement = given as never
    const count = capi.sqlite3_column_count(statement)
    const indexes = Array.from({ length: count }, (_, i) => i)
    if (count > 0 && !give({ columns: indexes.map((i) => capi.sqlite3_column_name(statement, i) ?? '') })) return false
    let rows: SqlValue[][] = []
    let bytes = 0
    for (;;) {
      const code = capi.sqlite3_step(statement)
      if (code !== capi.SQLITE_ROW) {
        if (code !== capi.SQLITE_DONE) throw this.#failure()
        return rows.length === 0 || give({ rows })
      }
      rows.push(indexes.map((i) => capi.sqlite3_column_js(statement, i) as SqlValue))
      for (const i of indexes) bytes += 8 + capi.sqlite3_column_bytes(statement, i)
      if (rows.length < BATCH_ROWS && bytes < BATCH_BYTES) continue
      if (!give({ rows })) return false
      rows = []
      bytes = 0
    }
  }

  #failure(): Error {
    if (this.#refused !== null) return new Refused(this.#refused)
    return new Error(this.#sqlite.capi.sqlite3_errmsg(this.#db) ?? 'unknown')
  }
}
