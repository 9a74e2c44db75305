import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** Keys and indexes from the top of the file to a value. */
export type KeyPath = readonly (string | number)[]

/** One thing in a configuration file that has to be changed, and how. Holds no secret. */
export interface ConfigProblem {
  readonly code: 'CONFIG_INVALID' | 'SECRET_MISSING'
  readonly line: number
  /** Dotted, as a person would say it: `sources.clinic.schedule.full`. */
  readonly key: string
  readonly reason: string
  readonly fix: string
}

/** Collects everything that is wrong with one file, so that a person mends it in one go. */
export class ConfigProblems {
  readonly file: string
  readonly #found: ConfigProblem[] = []
  readonly #lineOf: (path: KeyPath) => number

  constructor(file: string, lineOf: (path: KeyPath) => number) {
    this.file = file
    this.#lineOf = lineOf
  }

  add(path: KeyPath, reason: string, fix: string, code: ConfigProblem['code'] = 'CONFIG_INVALID'): void {
    this.addAtLine(this.#lineOf(path), dotted(path), reason, fix, code)
  }

  addAtLine(
    line: number,
    key: string,
    reason: string,
    fix: string,
    code: ConfigProblem['code'] = 'CONFIG_INVALID',
  ): void {
    // What follows from a first mistake in a value (a missing variable left it empty) is no news.
    if (!this.#found.some((p) => p.line === line && p.key === key)) this.#found.push({ code, line, key, reason, fix })
  }

  get list(): readonly ConfigProblem[] {
    return this.#found.toSorted((a, b) => a.line - b.line)
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw problemsError(this.file, this.list)
  }
}

/** One error for all problems: each on a line of its own with its fix; SECRET_MISSING where nothing else is wrong. */
export function problemsError(file: string, problems: readonly ConfigProblem[]): SalvorError {
  const first = problems[0]!
  const code = problems.every((p) => p.code === 'SECRET_MISSING') ? 'SECRET_MISSING' : 'CONFIG_INVALID'
  const facts = { file, line: String(first.line), key: first.key, what: first.key, reason: first.reason }
  const count = String(problems.length)
  const fix = problems.length === 1 ? first.fix : `mend these ${count} places, then: salvor config validate`
  const error = new SalvorError(code, { ...facts, fix, count })
  const lines = problems.map((p) => `${file}:${p.line}: ${p.key}: ${p.reason}`)
  error.message = problems.length === 1 ? lines[0]! : problems.map((p, i) => `${lines[i]} → ${p.fix}`).join('\n')
  return error
}

export function dotted(path: KeyPath): string {
  return path.length === 0 ? 'the file' : path.reduce<string>((text, part) => joined(text, part), '')
}

function joined(text: string, part: string | number): string {
  if (typeof part === 'number') return `${text}[${part}]`
  return text === '' ? part : `${text}.${part}`
}
