import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Variables of the environment that say where libpq's files are. */
export interface FilePlaces {
  readonly HOME?: string | undefined
  readonly PGPASSFILE?: string | undefined
  readonly PGSERVICEFILE?: string | undefined
  readonly PGSYSCONFDIR?: string | undefined
}

/** The options of a service: of the user's file, else of the system's. */
export async function readService(source: string, name: string, places: FilePlaces): Promise<Map<string, string>> {
  const files = [
    places.PGSERVICEFILE ?? (places.HOME === undefined ? null : join(places.HOME, '.pg_service.conf')),
    places.PGSYSCONFDIR === undefined ? null : join(places.PGSYSCONFDIR, 'pg_service.conf'),
  ].filter((file) => file !== null)
  for (const file of files) {
    const found = parseServices(await textOf(source, file), name)
    if (found !== null) return found
  }
  const reason = `it has no service [${name}]`
  throw new SalvorError('SECRET_MISSING', {
    key: `sources.${source}.url`,
    what: files.join(' or ') || 'pg_service.conf',
    reason,
  })
}

async function textOf(source: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return ''
    throw new SalvorError(
      'SECRET_MISSING',
      { key: `sources.${source}.url`, what: file, reason: code ?? 'unreadable' },
      error,
    )
  }
}

/** `[name]`, then `key=value` lines. The first of two equal keys counts, as in libpq. Null: there is no such service. */
export function parseServices(text: string, name: string): Map<string, string> | null {
  let found: Map<string, string> | null = null
  for (const line of text.split(/\r?\n/).map((raw) => raw.trim())) {
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('[')) {
      if (found !== null) return found
      if (line === `[${name}]`) found = new Map()
      continue
    }
    const [, key, value] = /^([a-z_]+)\s*=\s*(.*)$/.exec(line) ?? []
    if (found !== null && key !== undefined && !found.has(key)) found.set(key, value!)
  }
  return found
}
