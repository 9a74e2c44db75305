/** Pragmas that tell and change nothing; of those in the second list the form with a value sets something. */
const TELLING: ReadonlySet<string> = new Set([
  'collation_list',
  'compile_options',
  'database_list',
  'foreign_key_check',
  'foreign_key_list',
  'function_list',
  'index_info',
  'index_list',
  'index_xinfo',
  'integrity_check',
  'module_list',
  'pragma_list',
  'quick_check',
  'table_info',
  'table_list',
  'table_xinfo',
])
const TELLING_WITHOUT_VALUE: ReadonlySet<string> = new Set([
  'application_id',
  'auto_vacuum',
  'data_version',
  'encoding',
  'freelist_count',
  'page_count',
  'page_size',
  'schema_version',
  'user_version',
])

/** Codes of sqlite3_set_authorizer, which never change. */
const ACTION: Readonly<Record<number, string>> = {
  9: 'DELETE',
  18: 'INSERT',
  23: 'UPDATE',
  24: 'ATTACH',
  25: 'DETACH',
  26: 'ALTER TABLE',
  27: 'REINDEX',
  28: 'ANALYZE',
}
const PRAGMA = 19
/** READ, SELECT, TRANSACTION, FUNCTION, SAVEPOINT, RECURSIVE. */
const READING: ReadonlySet<number> = new Set([20, 21, 22, 31, 32, 33])

/** What SQLite asks before it compiles a part of a statement. Null: it only reads; else what it would do, for people. */
export function whyRefused(action: number, first: string | null, second: string | null): string | null {
  if (READING.has(action)) return null
  if (action !== PRAGMA) return ACTION[action] ?? 'CREATE or DROP'
  const name = (first ?? '').toLowerCase()
  if (TELLING.has(name) || (TELLING_WITHOUT_VALUE.has(name) && second === null)) return null
  return `PRAGMA ${name}`
}
