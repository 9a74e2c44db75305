import { z } from 'zod'
import { laterKey } from './later-keys.ts'
import { suggestion } from './nearest.ts'
import type { KeyPath } from './problems.ts'
import { knownKeysAt } from './schema-keys.ts'
import type { YamlTree } from './yaml-tree.ts'

type Issue = z.core.$ZodIssue

export interface SectionOptions {
  /** Keys whose values may not be shown, and may be given as `<key>_file`. */
  readonly secrets?: readonly string[]
  /** Keys that were reported already. */
  readonly silent?: readonly string[]
}

/** Checks `value`, which stands at `path` of the file, and reports what is wrong with it there. Undefined: it did not fit. */
export function parseSection<T>(
  schema: z.ZodType<T>,
  value: unknown,
  path: KeyPath,
  tree: YamlTree,
  { secrets = [], silent = [] }: SectionOptions = {},
): T | undefined {
  const first = schema.safeParse(value)
  if (first.success) return first.data
  const suited = suit(value, first.error.issues, path, tree)
  const second = suited === value ? first : schema.safeParse(suited)
  if (second.success) return second.data
  const news = second.error.issues.filter((issue) => !isToldAlready(issue, silent))
  for (const issue of news) report(issue, { schema, path, tree, secrets, value: suited })
  return undefined
}

/** What follows from a value that was reported: it is missing, or keys do not go together without it. */
function isToldAlready(issue: Issue, silent: readonly string[]): boolean {
  if (issue.path.length === 0) return silent.length > 0 && issue.code === 'custom'
  return silent.includes(String(issue.path[0]))
}

/**
 * A scalar in the type that is wanted: what a variable filled in is text (`${PORT}`), and what was written bare may look
 * like a number (`bucket: 2024`). Nothing else is bent.
 */
function suit(value: unknown, issues: readonly Issue[], path: KeyPath, tree: YamlTree): unknown {
  let suited = value
  for (const issue of issues) {
    if (issue.code !== 'invalid_type') continue
    const at = issue.path as KeyPath
    const written = tree.written([...path, ...at])
    if (!written) continue
    const scalar = asType(issue.expected, written)
    if (scalar !== undefined) suited = replaced(suited, at, scalar)
  }
  return suited
}

function asType(expected: string, written: { text: string; filled: boolean }): string | number | boolean | undefined {
  if (expected === 'string') return written.text
  if (!written.filled) return undefined
  if ((expected === 'number' || expected === 'int') && /^-?\d+(\.\d+)?$/.test(written.text)) return Number(written.text)
  if (expected === 'boolean' && /^(true|false)$/.test(written.text)) return written.text === 'true'
  return undefined
}

function replaced(value: unknown, path: KeyPath, scalar: unknown): unknown {
  const [head, ...rest] = path
  if (head === undefined) return scalar
  if (Array.isArray(value)) return value.map((item, i) => (i === head ? replaced(item, rest, scalar) : item))
  const map = value as Record<string, unknown>
  return { ...map, [head]: replaced(map[head], rest, scalar) }
}

interface Place {
  readonly schema: z.ZodType
  readonly path: KeyPath
  readonly tree: YamlTree
  readonly secrets: readonly string[]
  readonly value: unknown
}

function report(issue: Issue, place: Place): void {
  const below = issue.path as KeyPath
  const path = [...place.path, ...below]
  const { problems } = place.tree
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeysAt(place.schema, below) ?? []
    for (const key of issue.keys) reportUnknownKey([...path, key], known, place.tree)
    return
  }
  if (issue.code === 'invalid_union') {
    const branch = deepest(issue.errors)
    if (branch) for (const inner of branch) report({ ...inner, path: [...below, ...inner.path] }, place)
    else problems.add(path, 'none of the accepted forms', 'see `salvor config schema`')
    return
  }
  if (issue.code === 'invalid_key') {
    const name = String(below.at(-1))
    problems.add(
      path,
      `${JSON.stringify(name)} cannot be a name`,
      `write ${issue.issues[0]?.message ?? 'a plain name'}`,
    )
    return
  }
  if (issue.code === 'invalid_type' && issue.expected === 'never') {
    problems.add(path, issue.message, 'remove this key')
    return
  }
  const found = valueAt(place.value, below)
  if (found === undefined || found === null) {
    problems.add(path, 'is required', requiredFix(below, place.secrets))
    return
  }
  problems.add(path, `${shown(path, place)}${reasonOf(issue)}`, fixOf(issue))
}

/** Reports a key that nothing reads: a later feature by its name, else with what was probably meant. */
export function reportUnknownKey(path: KeyPath, known: readonly string[], tree: YamlTree): void {
  const key = String(path.at(-1))
  const later = laterKey(path)
  if (later !== null) tree.problems.add(path, `${later} is not available yet`, 'remove this key')
  else tree.problems.add(path, 'unknown key', suggestion(key, known, 'remove it'))
}

/** The branch of a union that got furthest: the form that was meant. */
function deepest(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const depth = (issues: readonly Issue[]): number =>
    Math.max(0, ...issues.map((issue) => issue.path.length + rank(issue)))
  return branches.filter((b) => b.length > 0).toSorted((a, b) => depth(b) - depth(a))[0]
}

function rank(issue: Issue): number {
  return issue.code === 'invalid_type' ? 0 : 0.5
}

function requiredFix(path: KeyPath, secrets: readonly string[]): string {
  const key = String(path.at(-1) ?? 'it')
  return secrets.includes(key) ? `write ${key}_file: FILE (or ${key}: …)` : `write ${key}: …`
}

function shown(path: KeyPath, place: Place): string {
  const written = place.tree.written(path)
  if (!written || written.filled) return ''
  if (place.secrets.some((secret) => path.includes(secret))) return ''
  return `${JSON.stringify(written.text.slice(0, 60))}: `
}

function reasonOf(issue: Issue): string {
  if (issue.code === 'invalid_format') return 'not in the right form'
  if (issue.code === 'invalid_value') return 'not one of the accepted words'
  return issue.message.replace(/^Invalid input: /, '').replace(/^./, (letter) => letter.toLowerCase())
}

function fixOf(issue: Issue): string {
  if (issue.code === 'invalid_format') return `write ${issue.message.replace(/^Invalid (\w+)$/, 'a valid $1')}`
  if (issue.code === 'invalid_value') return `write ${issue.values.map(String).join(' | ')}`
  if (issue.code === 'invalid_type') return `write a ${issue.expected}`
  return 'correct it; `salvor config schema` describes the key'
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((at, part) => (at as Record<string, unknown> | null | undefined)?.[part], value)
}
