import { once } from 'node:events'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { QueryPart, SqlValue } from '@salvor/shared/ports/reading'
import pc from 'picocolors'
import { table } from './output.ts'

const BLOB_BYTES_SHOWN = 32
/** A document is one piece in memory. */
const DOCUMENT_ROWS = 100_000

export interface QueryResult {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly unknown[])[]
}

/** Everything a query gives, for a document. QUERY_FAILED for more rows than one holds. */
export async function collect(parts: AsyncIterable<QueryPart>, source: string): Promise<readonly QueryResult[]> {
  const results: { columns: readonly string[]; rows: unknown[][] }[] = []
  let rows = 0
  for await (const part of parts) {
    if ('columns' in part) {
      results.push({ columns: part.columns, rows: [] })
      continue
    }
    rows += part.rows.length
    if (rows > DOCUMENT_ROWS) {
      const reason = `more than ${DOCUMENT_ROWS} rows: say LIMIT, or leave out --json`
      throw new SalvorError('QUERY_FAILED', { source, reason })
    }
    results.at(-1)!.rows.push(...part.rows.map((row) => row.map(inDocument)))
  }
  return results
}

/** As JSON has it: integers that are no exact number there as text, bytes in base64. */
function inDocument(value: SqlValue): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value
}

/** Prints what a query gives as it comes, in columns as wide as the first rows need. Ends the query when nobody reads on, as `head` does. */
export async function printTo(out: NodeJS.WritableStream, parts: AsyncIterable<QueryPart>): Promise<void> {
  const write = writerTo(out)
  let columns: readonly string[] = []
  let widths: readonly string[] | null = null
  for await (const part of parts) {
    if ('columns' in part) {
      if (widths === null && columns.length > 0 && !(await write([heading(columns)]))) return
      columns = part.columns
      widths = null
      continue
    }
    // Alone in its column, a text may have its lines.
    const alone = columns.length === 1
    const cells = part.rows.map((row) => row.map((value) => shown(value, alone)))
    const first = widths === null
    // A row of blanks keeps later rows in the columns of the first.
    widths ??= columns.map((name, i) => ' '.repeat(Math.max(shown(name).length, ...cells.map((row) => row[i]!.length))))
    const names = columns.map((name) => pc.bold(shown(name)))
    const lines = alone ? [names[0]!, ...cells.map(([cell]) => cell!)] : table([widths, names, ...cells]).slice(1)
    if (!(await write(first ? lines : lines.slice(1)))) return
  }
  if (widths === null && columns.length > 0) await write([heading(columns)])
}

/** False: whoever read is gone. */
function writerTo(out: NodeJS.WritableStream): (lines: readonly string[]) => Promise<boolean> {
  // What it would tell is seen by `writable`.
  if (out.listenerCount('error') === 0) out.on('error', () => undefined)
  return async (lines) => {
    if (!out.writable) return false
    if (lines.length > 0 && !out.write(lines.map((line) => `${line}\n`).join('')))
      await once(out, 'drain').catch(() => undefined)
    return out.writable
  }
}

function heading(columns: readonly string[]): string {
  return columns.map((name) => pc.bold(shown(name))).join('  ')
}

/** Characters that a terminal obeys, or that change the order of what stands beside them. */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** A value for people: whatever lies in the database, a terminal shows it and does nothing else. */
export function shown(value: SqlValue, lines = false): string {
  if (value === null) return 'NULL'
  if (value instanceof Uint8Array) {
    const hex = Buffer.from(value.subarray(0, BLOB_BYTES_SHOWN)).toString('hex')
    return value.length > BLOB_BYTES_SHOWN ? `x'${hex}…' (${value.length} bytes)` : `x'${hex}'`
  }
  if (typeof value !== 'string') return String(value)
  return value.replace(OBEYED, (char) =>
    char === '\n' ? (lines ? char : '\\n') : char === '\t' ? '\\t' : `\\u{${char.codePointAt(0)!.toString(16)}}`,
  )
}
