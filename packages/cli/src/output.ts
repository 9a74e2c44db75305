import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Failure } from '@salvor/shared/vocabulary/run'
import pc from 'picocolors'

/** What a command ends with: the document that `--json` prints, the lines a person reads, and the exit code. */
export interface Answer {
  readonly document: object
  readonly lines: readonly string[]
  readonly exit: number
}

/** Prints an answer: one JSON document, or lines, on stdout. */
export function print(answer: Answer, json: boolean): void {
  process.stdout.write(rendered(answer, json))
}

/** An answer as it is printed. */
export function rendered(answer: Answer, json: boolean): string {
  return json ? `${JSON.stringify(answer.document, null, 2)}\n` : answer.lines.map((line) => `${line}\n`).join('')
}

/** A failure as a document and as what a person reads: what, and what to do. */
export function failureAnswer(error: SalvorError): Answer {
  const failure = error.toFailure()
  return { document: { error: failure }, lines: failureLines(failure), exit: error.exit }
}

export function failureLines(failure: Failure): string[] {
  return [
    `${pc.red('failed')}  ${failure.message}`,
    `        ${pc.dim('→')} ${failure.hint}  ${pc.dim(`(${failure.code})`)}`,
  ]
}

/** 690.6 MB; GB = 10^9. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = count
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** 850 ms, 12.3 s, 4 min 05 s, 3 h 12 min, 5 d 2 h. */
export function span(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

/** Columns padded to their widest cell; colour codes do not count. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const visible = (text: string): number => stripColour(text).length
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => visible(row[column] ?? ''))))
  return rows.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - visible(cell)))
      .join('  ')
      .trimEnd(),
  )
}

const ESCAPE = String.fromCharCode(27)
function stripColour(text: string): string {
  return text
    .split(ESCAPE)
    .map((part, index) => (index === 0 ? part : part.replace(/^\[[0-9;]*m/, '')))
    .join('')
}

/** A state in its colour; the word itself always says it too. */
export function stateWord(state: string): string {
  const paint: Record<string, (text: string) => string> = {
    proven: pc.green,
    verified: pc.cyan,
    completed: pc.yellow,
    succeeded: pc.green,
    corrupt: pc.red,
    failed: pc.red,
    dead: pc.red,
    pending: pc.dim,
    running: pc.blue,
  }
  return (paint[state] ?? String)(state)
}

export const done = (document: object, lines: readonly string[], exit: number = EXIT.done): Answer => ({
  document,
  lines,
  exit,
})
