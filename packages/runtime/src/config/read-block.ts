import { resolve } from 'node:path'
import type { z } from 'zod'
import { parseSection, reportUnknownKey } from './parse-section.ts'
import type { KeyPath } from './problems.ts'
import { knownKeysAt } from './schema-keys.ts'
import { type DigestSecret, readSecretFile, secretParts } from './secret-values.ts'
import type { YamlTree } from './yaml-tree.ts'

export interface Reading {
  readonly tree: YamlTree
  /** Folder of the file: relative paths begin there. */
  readonly folder: string
  /** Takes every secret value met. */
  readonly secrets: Set<string>
  readonly digest: DigestSecret
}

/** A mapping whose keys belong to one schema, such as what a store of one kind takes. */
export interface Block<C> {
  readonly config: C
  /** What the block says, as it was written, with digests for secrets: equal where it would do the same. */
  readonly fingerprint: Readonly<Record<string, unknown>>
}

interface BlockSchema<C> {
  readonly schema: z.ZodType<C>
  readonly secrets: readonly string[]
}

/**
 * Checks the keys of a mapping by `schema`: `<secret>_file` is read, paths are made absolute, unknown keys are refused.
 * `own`: keys of the mapping that somebody else reads. Undefined: something was wrong and is reported.
 */
export async function readBlock<C>(
  { schema, secrets }: BlockSchema<C>,
  raw: Readonly<Record<string, unknown>>,
  path: KeyPath,
  own: readonly string[],
  reading: Reading,
): Promise<Block<C> | undefined> {
  const keys = knownKeysAt(schema, [])
  const known = keys === null ? null : [...keys, ...secrets, ...secrets.map((s) => `${s}_file`)]
  const plain: Record<string, unknown> = {}
  const silent: string[] = []
  for (const key of reading.tree.keys(path)) {
    if (own.includes(key)) continue
    if (known && !known.includes(key)) reportUnknownKey([...path, key], [...known, ...own], reading.tree)
    else if (raw[key] !== null) plain[key] = raw[key]
  }
  const digests: Record<string, string> = {}
  for (const name of secrets) {
    const value = await readSecret(name, plain, path, reading)
    if (value === null) silent.push(name)
    delete plain[`${name}_file`]
    delete plain[name]
    if (typeof value !== 'string') continue
    digests[name] = value
  }
  const config = parseSection(schema, { ...absolutePaths(plain, reading.folder), ...digests }, path, reading.tree, {
    secrets,
    silent,
  })
  if (config === undefined || silent.length > 0) return undefined
  for (const [name, value] of Object.entries(digests)) digests[name] = await reading.digest(value)
  return { config, fingerprint: { ...plain, secrets: digests } }
}

/** The mapping at `path`, empty where nothing is written; undefined: it is something else, which is reported. */
export function mappingAt(
  value: unknown,
  path: KeyPath,
  tree: YamlTree,
): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>
  tree.problems.add(path, 'not a mapping', 'write `key: value` lines below it, indented')
  return undefined
}

/** The value of a secret; undefined: not given · null: given and not to be had, which is reported. */
async function readSecret(
  name: string,
  plain: Readonly<Record<string, unknown>>,
  path: KeyPath,
  { tree, folder, secrets }: Reading,
): Promise<string | undefined | null> {
  const fileKey = `${name}_file`
  const file = plain[fileKey]
  if (plain[name] !== undefined && file !== undefined) {
    tree.problems.add([...path, fileKey], `both ${name} and ${fileKey} are given`, `keep ${fileKey} only`)
    return null
  }
  if (file === undefined && typeof plain[name] === 'object') {
    tree.problems.add([...path, name], 'not a text', `write ${fileKey}: FILE`)
    return null
  }
  if (file === undefined) return noted(plain[name], tree.written([...path, name])?.text, secrets)
  if (typeof file !== 'string' || file === '') {
    tree.problems.add([...path, fileKey], 'not the path of a file', `write ${fileKey}: /run/secrets/…`)
    return null
  }
  const resolved = resolve(folder, file)
  try {
    return noted(await readSecretFile(resolved), undefined, secrets)
  } catch (error) {
    const reason = `the secret ${resolved} cannot be read: ${(error as Error).message}`
    const fix = 'put the secret into that file with mode 0600, readable by this user'
    tree.problems.add([...path, fileKey], reason, fix, 'SECRET_MISSING')
    return null
  }
}

function noted(value: unknown, written: string | undefined, secrets: Set<string>): string | undefined {
  // A password of digits only was read as a number: what was written counts.
  const text = typeof value === 'string' ? value : written
  if (text === undefined) return undefined
  for (const part of secretParts(text)) secrets.add(part)
  return text
}

function absolutePaths(plain: Readonly<Record<string, unknown>>, folder: string): Record<string, unknown> {
  const entries = Object.entries(plain).map(([key, value]) => {
    const isPath = key === 'path' || /_(file|dir)$/.test(key)
    return [key, isPath && typeof value === 'string' && value !== '' ? resolve(folder, value) : value]
  })
  return Object.fromEntries(entries) as Record<string, unknown>
}
