import type { Dirent } from 'node:fs'
import { glob, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import type { FoundFiles } from '@salvor/shared/ports/files'
import type { SqliteConfig } from './config.ts'

/** What lies in a folder that is named without a pattern, at any depth. */
const IN_FOLDERS = '**/*.{db,db3,sqlite,sqlite3}'
/** Beside a database while it is in use; its own files, whatever the pattern says. */
const BESIDE = /-(wal|shm|journal)$/
const MAGIC = /[*?[\]{}()!+@]/
/** Node puts this in the place of bytes that are no UTF-8: the file cannot be opened by such a name. */
const NO_TEXT = '\uFFFD'

/** Where a look begins, and what is looked for below it. */
interface Look {
  readonly base: string
  readonly pattern: string
}

/**
 * The databases that absolute paths, folders and globs name. Symbolic links and names that begin with a dot are not taken. Names are
 * relative to the folder that all entries share, so they depend on the configuration alone, never on what else lies there.
 * Nothing is opened. Rejects with the reason, for people, where one of the places cannot be looked at: what lay there is unknown.
 */
export async function findDatabases(entries: readonly string[]): Promise<FoundFiles<SqliteConfig>> {
  const looks = await Promise.all(entries.map(lookOf))
  const base = looks.map((look) => look.base).reduce(sharedFolder)
  const found = new Map<string, string>()
  const left_out: { file: string; reason: string }[] = []
  for (const look of looks) {
    for await (const entry of filesOf(look)) {
      const file = join(entry.parentPath, entry.name)
      if (file.includes(NO_TEXT)) left_out.push({ file, reason: 'its name is not UTF-8' })
      else found.set(relative(base, file).split(sep).join('/'), file)
    }
  }
  const files = [...found].map(([name, path]) => ({ relative: name, config: { path } }))
  return { files: files.toSorted((a, b) => (a.relative < b.relative ? -1 : 1)), left_out }
}

async function lookOf(entry: string): Promise<Look> {
  const parts = entry.split('/')
  const first = parts.findIndex((part) => MAGIC.test(part))
  if (first !== -1) {
    const base = parts.slice(0, first).join('/') || '/'
    await seen(base, () => readdir(base))
    return { base, pattern: parts.slice(first).join('/') }
  }
  const place = await seen(entry, () => stat(entry))
  if (!place.isDirectory()) return { base: dirname(entry), pattern: basename(entry) }
  await seen(entry, () => readdir(entry))
  return { base: entry, pattern: IN_FOLDERS }
}

async function seen<T>(place: string, look: () => Promise<T>): Promise<T> {
  try {
    return await look()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new Error(`${place} cannot be looked at (${code})`, { cause: error })
  }
}

async function* filesOf({ base, pattern }: Look): AsyncGenerator<Dirent> {
  for await (const entry of glob(pattern, { cwd: base, withFileTypes: true })) {
    if (entry.isFile() && !entry.name.startsWith('.') && !BESIDE.test(entry.name)) yield entry
  }
}

function sharedFolder(one: string, other: string): string {
  const others = other.split('/')
  const parts = one.split('/')
  const differs = parts.findIndex((part, i) => part !== others[i])
  return (differs === -1 ? parts : parts.slice(0, differs)).join('/') || '/'
}
