import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type ParsedNode } from 'yaml'
import { interpolate } from './interpolate.ts'
import type { Environment } from './loaded-config.ts'
import { ConfigProblems, dotted, type KeyPath } from './problems.ts'

/** More than any real file: an alias bomb ends here, not in memory. */
const MAX_NODES = 50_000
const MAX_DEPTH = 32

/** A configuration file as plain values, which remember where they stood. */
export interface YamlTree {
  /** Plain objects, arrays and scalars, variables filled in. */
  readonly value: unknown
  readonly problems: ConfigProblems
  readonly variables: readonly string[]
  /** Keys of a mapping in the order of the file. */
  keys(path: KeyPath): readonly string[]
  /** How a scalar was written: the text, and whether it came from a variable. Null: not a scalar of the file. */
  written(path: KeyPath): { readonly text: string; readonly filled: boolean } | null
}

interface Spot {
  readonly line: number
  readonly keys?: readonly string[]
  readonly written?: { readonly text: string; readonly filled: boolean }
}

/** Parses YAML 1.2 and fills in variables. Everything wrong is in `problems`; the values are what could be read. */
export function readYaml(text: string, file: string, env: Environment): YamlTree {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const spots = new Map<string, Spot>()
  const problems = new ConfigProblems(file, (path) => lineOf(spots, path))
  for (const error of document.errors) {
    const { line } = lines.linePos(error.pos[0])
    problems.addAtLine(Math.max(1, line), 'YAML', firstLine(error.message), syntaxFix(text.split('\n')[line - 1] ?? ''))
  }
  const walk = new Walk(document, lines, spots, problems, env)
  const value = walk.visit(document.contents, [], 1)
  const at = (path: KeyPath): Spot | undefined => spots.get(JSON.stringify(path))
  return {
    value,
    problems,
    variables: [...walk.variables],
    keys: (path) => at(path)?.keys ?? [],
    written: (path) => at(path)?.written ?? null,
  }
}

class Walk {
  readonly variables = new Set<string>()
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #spots: Map<string, Spot>
  readonly #problems: ConfigProblems
  readonly #env: Environment
  #nodes = 0

  constructor(
    document: Document,
    lines: LineCounter,
    spots: Map<string, Spot>,
    problems: ConfigProblems,
    env: Environment,
  ) {
    this.#document = document
    this.#lines = lines
    this.#spots = spots
    this.#problems = problems
    this.#env = env
  }

  visit(node: unknown, path: KeyPath, line: number): unknown {
    this.#nodes += 1
    if (this.#nodes > MAX_NODES || path.length > MAX_DEPTH) {
      this.#problems.addAtLine(line, 'YAML', 'too deep or too many values', 'write it out without nested aliases')
      return null
    }
    if (isAlias(node)) return this.visit(node.resolve(this.#document), path, line)
    const here = this.#line(node) ?? line
    if (isMap(node)) return this.#map(node.items, path, here)
    if (isSeq(node)) {
      this.#spots.set(JSON.stringify(path), { line: here })
      return node.items.map((item, i) => this.visit(item, [...path, i], here))
    }
    return this.#scalar(node, path, here)
  }

  #map(items: readonly { key: unknown; value: unknown }[], path: KeyPath, line: number): Record<string, unknown> {
    const entries: [string, unknown][] = []
    this.#spots.set(JSON.stringify(path), { line })
    for (const { key, value } of items) {
      const name = isScalar(key) ? String(key.source ?? key.value) : ''
      const keyLine = this.#line(key) ?? line
      if (name === '' || name === '__proto__') {
        this.#problems.addAtLine(keyLine, 'YAML', 'a key that is not a plain word', 'write a name before the colon')
        continue
      }
      entries.push([name, this.visit(value, [...path, name], keyLine)])
      // An absent or scalar value is told by the line of its key.
      const spot = this.#spots.get(JSON.stringify([...path, name]))
      this.#spots.set(JSON.stringify([...path, name]), { ...spot, line: keyLine })
    }
    const keys = entries.map(([name]) => name)
    this.#spots.set(JSON.stringify(path), { line, keys })
    return Object.fromEntries(entries)
  }

  #scalar(node: unknown, path: KeyPath, line: number): unknown {
    const value = isScalar(node) ? node.value : null
    if (!isScalar(node) || value === null) {
      this.#spots.set(JSON.stringify(path), { line })
      return null
    }
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
      this.#spots.set(JSON.stringify(path), { line, written: { text: node.source ?? String(value), filled: false } })
      return value
    }
    if (typeof value !== 'string') {
      this.#problems.addAtLine(line, dotted(path), 'not a plain value', 'write it in quotes')
      return null
    }
    const { text, variables, missing } = interpolate(value, this.#env)
    for (const name of variables) this.variables.add(name)
    this.#spots.set(JSON.stringify(path), { line, written: { text, filled: variables.length > 0 } })
    for (const { reason, fix } of missing) this.#problems.add(path, reason, fix)
    return text
  }

  #line(node: unknown): number | null {
    const range = (node as ParsedNode | null)?.range
    return range ? Math.max(1, this.#lines.linePos(range[0]).line) : null
  }
}

/** The line of the value, or of the nearest thing around it that is in the file. */
function lineOf(spots: ReadonlyMap<string, Spot>, path: KeyPath): number {
  for (let length = path.length; length >= 0; length--) {
    const spot = spots.get(JSON.stringify(path.slice(0, length)))
    if (spot) return spot.line
  }
  return 1
}

/** `{ url: ${VAR} }` is the mistake that this format invites. */
function syntaxFix(line: string): string {
  return line.includes('${') ? 'put "${…}" in quotes' : 'correct the syntax there'
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!
}
