/**
 * Cuts what pg_dumpall writes into statements; comments and psql's own commands are left out, so that nothing in it can run a
 * program here. Strings as of standard_conforming_strings, and E'…'.
 */
export function statementsOf(sql: string): string[] {
  const statements: string[] = []
  let begun = ''
  let at = 0
  while (at < sql.length) {
    const rest = begun.trim() === '' ? /^(?:\s+|--[^\n]*|\\[^\n]*)/.exec(sql.slice(at, at + 4096)) : null
    if (rest !== null) {
      at += rest[0].length
      continue
    }
    const end = tokenEnd(sql, at)
    const token = sql.slice(at, end)
    at = end
    if (token === ';') {
      statements.push(begun.trim())
      begun = ''
    } else begun += token
  }
  if (begun.trim() !== '') throw new SyntaxError('a statement without its end')
  return statements
}

function tokenEnd(sql: string, at: number): number {
  const char = sql[at]!
  if (char === "'") return quoteEnd(sql, at, isEscapeString(sql, at))
  if (char === '"') return quoteEnd(sql, at, false)
  if (char === ';') return at + 1
  let end = at + 1
  while (end < sql.length && !`'";`.includes(sql[end]!)) end++
  return end
}

const isEscapeString = (sql: string, at: number): boolean =>
  /(?:^|[^\w$"])[eE]$/.test(sql.slice(Math.max(0, at - 2), at))

function quoteEnd(sql: string, at: number, escapes: boolean): number {
  const quote = sql[at]!
  for (let end = at + 1; end < sql.length; end++) {
    if (escapes && sql[end] === '\\') end++
    else if (sql[end] === quote && sql[end + 1] === quote) end++
    else if (sql[end] === quote) return end + 1
  }
  throw new SyntaxError('a string without its end')
}
