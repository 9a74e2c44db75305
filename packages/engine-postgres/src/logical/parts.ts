import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RestoreParts } from '@salvor/shared/ports/engine'
import type { Contents, DumpedDatabase } from './contents.ts'

/** The databases of a dump that are asked for. Unknown ones, and objects without a database where there are several: USAGE. */
export function wantedDatabases(contents: Contents, parts: RestoreParts | undefined): readonly DumpedDatabase[] {
  const named = parts?.databases ?? []
  const unknown = named.find((name) => !contents.databases.some((database) => database.name === name))
  if (unknown !== undefined) {
    throw usage(
      `the backup has no database ${unknown}; it has ${contents.databases.map(({ name }) => name).join(', ')}`,
    )
  }
  const wanted = named.length === 0 ? contents.databases : contents.databases.filter(({ name }) => named.includes(name))
  if (hasObjects(parts) && wanted.length !== 1) {
    throw usage(`--schema and --table need one --database of ${contents.databases.map(({ name }) => name).join(', ')}`)
  }
  return wanted
}

export const hasObjects = (parts: RestoreParts | undefined): boolean =>
  (parts?.schemas?.length ?? 0) + (parts?.tables?.length ?? 0) > 0

/** `schema.table`, or a table of any schema: in the two arguments that pg_restore takes. */
export function objectArguments(parts: RestoreParts): string[] {
  const tables = parts.tables?.map((table) => `--table=${splitTable(table).table}`) ?? []
  return [...schemasOf(parts).map((schema) => `--schema=${schema}`), ...tables]
}

/** Schemas that are named; pg_restore makes what is in them, not themselves. */
export function schemasOf({ schemas = [], tables = [] }: RestoreParts): string[] {
  return [...new Set([...schemas, ...tables.flatMap((table) => splitTable(table).schema ?? [])])]
}

export function splitTable(name: string): { schema: string | null; table: string } {
  const at = name.indexOf('.')
  return at === -1 ? { schema: null, table: name } : { schema: name.slice(0, at), table: name.slice(at + 1) }
}

const usage = (reason: string): SalvorError => new SalvorError('USAGE', { reason, command: 'restore' })
