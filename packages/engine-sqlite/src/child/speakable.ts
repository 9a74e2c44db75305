/** Texts of SQLite that name a part which a program of the application registers and Salvor does not have. */
const MISSING = /^no such (collation sequence|module|tokenizer): (.+)$/
const MISSING_FUNCTION = /^(?:no such|unknown) function: (\w+)/
/** Texts whose only variable part is a name or a piece of the statement. */
const NAMING =
  /^(no such (?:table|column|index|view)|ambiguous column name|misuse of aggregate(?: function)?|wrong number of arguments to function|incomplete input|near|unrecognized token)\b:?\s*(.*?)(: syntax error)?$/

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'error'
}

/**
 * An error without what could be a value of a row: SQLite puts values into some of its messages (a full-text query, a
 * JSON path). Only texts of known forms are kept, and of these only names that the statement itself holds.
 */
export function speakableError(error: unknown, sql: string): string {
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : ''
  const missing = missingPart(error, sql)
  if (missing) return `${code}: no such ${missing}`
  const named = NAMING.exec(text)
  if (!named) return code
  const [, form, subject = '', rest = ''] = named
  const bare = subject.replaceAll(/^["']|["']$|\(\)$/g, '')
  const known = bare !== '' && sql.toLowerCase().includes(bare.toLowerCase())
  return `${code}: ${form} ${known ? bare : '…'}${rest}`
}

/** The collation, module, tokenizer or function of the application that is not there; null if that is not the trouble. */
export function missingPart(error: unknown, sql: string): string | null {
  const text = error instanceof Error ? error.message : ''
  const part = MISSING.exec(text)
  if (part?.[1] && part[2] && /^[\w.:-]{1,64}$/.test(part[2])) return `${part[1]} ${part[2]}`
  // A function that only the statement names is the statement's own fault.
  const name = MISSING_FUNCTION.exec(text)?.[1]
  return name && !sql.toLowerCase().includes(name.toLowerCase()) ? `function ${name}` : null
}
