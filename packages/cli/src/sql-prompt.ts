import { createInterface } from 'node:readline'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { StateReader } from '@salvor/shared/ports/reading'
import { failureAnswer } from './output.ts'
import { printTo } from './query-output.ts'

const HELP = `SQL ends with ;   .tables   .schema [TABLE]   .quit`
const TABLES = `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`

/** The SQL of a line that begins with a dot; null: there is no such command. */
export function dotCommand(line: string): string | null {
  const [, word = '', name = ''] = /^\.(\w+)\s*(.*?)\s*;?\s*$/.exec(line.trim()) ?? []
  if (word === 'tables') return TABLES
  if (word !== 'schema') return null
  const quoted = `'${name.replaceAll("'", "''")}'`
  return `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL${name === '' ? '' : ` AND tbl_name = ${quoted}`} ORDER BY rowid`
}

/** Reads statements from stdin and prints what they give. From a pipe the first failure ends it; at a terminal it is told, and Ctrl-C ends a query only. */
export async function sqlPrompt(name: string, reader: StateReader, signal: AbortSignal): Promise<void> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY
  const lines = createInterface({ input: process.stdin, output: terminal ? process.stdout : undefined, terminal })
  let running: AbortController | null = null
  lines.on('SIGINT', () => (running ? running.abort() : lines.close()))
  signal.addEventListener('abort', () => lines.close(), { once: true })
  const ask = (more: boolean): void => {
    if (!terminal) return
    lines.setPrompt(more ? '   ...> ' : `${name}> `)
    lines.prompt()
  }
  const run = async (sql: string): Promise<void> => {
    running = new AbortController()
    try {
      await printTo(process.stdout, reader.query(sql, AbortSignal.any([signal, running.signal])))
    } catch (error) {
      if (!terminal || signal.aborted) throw error
      process.stdout.write(`${failureAnswer(asSalvorError(error)).lines[0]}\n`)
    } finally {
      running = null
    }
  }
  try {
    if (terminal) process.stdout.write(`${HELP}\n`)
    let statement = ''
    ask(false)
    for await (const line of lines) {
      const first = statement === ''
      if (first && /^\s*\.(quit|exit)\b/.test(line)) return
      if (first && /^\s*\./.test(line)) {
        const sql = dotCommand(line)
        if (sql === null) process.stdout.write(`${HELP}\n`)
        else await run(sql)
      } else {
        statement += `${line}\n`
        if (/;\s*$/.test(line)) {
          await run(statement)
          statement = ''
        }
        if (statement.trim() === '') statement = ''
      }
      ask(statement !== '')
    }
    if (statement !== '' && !signal.aborted) await run(statement)
  } finally {
    lines.close()
  }
}
