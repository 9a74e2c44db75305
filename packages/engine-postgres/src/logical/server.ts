import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { whereIs } from '../connect/address.ts'
import { COMMAND_IDLE_MS, isStandby } from '../connect/session.ts'
import type { Link, Row } from '../protocol/link.ts'
import { folderOf, type DumpedDatabase, type LeftOut } from './contents.ts'

export interface DumpServer {
  readonly version: string
  readonly versionNum: number
  readonly major: number
  readonly standby: boolean
  /** The role may read the roles' password hashes. */
  readonly rolePasswords: boolean
  /** The role may read every table. */
  readonly readsAll: boolean
}

const OLDEST = 13

/** What an SQL link tells about its server and the role that logged in. */
export async function dumpServer(link: Link, source: string, signal: AbortSignal): Promise<DumpServer> {
  const facts = `
    SELECT current_setting('server_version_num'), has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
      rolsuper OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'pg_read_all_data' AND pg_has_role(r.oid, 'USAGE'))
    FROM pg_roles WHERE rolname = current_user`
  const [row] = (await link.rows(facts, COMMAND_IDLE_MS, signal))[0]?.rows ?? []
  const versionNum = Number(row?.[0])
  const version = link.parameters.get('server_version') ?? String(versionNum)
  const major = Math.floor(versionNum / 10_000)
  if (!(major >= OLDEST)) {
    const what = `PostgreSQL ${version} is not supported (${OLDEST} and newer are)`
    throw new SalvorError('SOURCE_UNSUPPORTED', { source, what, fix: 'upgrade the server' })
  }
  const standby = await isStandby(link, signal)
  return { version, versionNum, major, standby, rolePasswords: row?.[1] === 't', readsAll: row?.[2] === 't' }
}

export interface Choice {
  /** Only these; null: all. */
  readonly databases: readonly string[] | null
  readonly exclude: readonly string[]
}

export interface FoundDatabases {
  readonly databases: readonly Omit<DumpedDatabase, 'extensions'>[]
  readonly leftOut: readonly LeftOut[]
}

const DATABASES = `
  SELECT datname, pg_encoding_to_char(encoding), datcollate, datctype,
    CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), pg_get_userbyid(datdba),
    CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
    has_database_privilege(d.oid, 'CONNECT')
  FROM pg_database d WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname`
const MOST_DATABASES = 9_999

/** The databases that a dump takes. One that was named and is not there, or not to be connected to: an error, no gap. */
export async function chosenDatabases(
  link: Link,
  source: string,
  { databases, exclude }: Choice,
  signal: AbortSignal,
): Promise<FoundDatabases> {
  const [set] = await link.rows(DATABASES, COMMAND_IDLE_MS, signal, MOST_DATABASES)
  const rows = set?.rows ?? []
  const missing = databases?.find((name) => !rows.some((row) => row[0] === name))
  if (missing !== undefined) {
    throw new SalvorError('SOURCE_MISSING', { source, what: `the database ${missing} at ${whereIs(link.address)}` })
  }
  const found: Omit<DumpedDatabase, 'extensions'>[] = []
  const leftOut: LeftOut[] = []
  for (const row of rows) {
    const name = row[0]!
    const named = databases?.includes(name) === true
    if (databases !== null && !named) leftOut.push({ name, reason: 'not in `databases`' })
    else if (exclude.includes(name)) leftOut.push({ name, reason: 'in `exclude_databases`' })
    else if (row[8] === 't') found.push(databaseOf(row, found.length))
    else if (named) throw notAllowed(link, source, name)
    else leftOut.push({ name, reason: 'the role may not connect to it' })
  }
  if (found.length === 0) {
    const fix = 'correct `databases` and `exclude_databases`, or grant CONNECT on a database'
    throw new SalvorError('SOURCE_UNSUPPORTED', { source, what: 'there is no database to dump', fix })
  }
  return { databases: found, leftOut }
}

const databaseOf = (row: Row, index: number): Omit<DumpedDatabase, 'extensions'> => ({
  name: row[0]!,
  folder: folderOf(index, row[0]!),
  encoding: row[1] ?? 'UTF8',
  collate: row[2] ?? '',
  ctype: row[3] ?? '',
  provider: row[4] ?? 'libc',
  locale: row[5] ?? null,
  owner: row[6] ?? '',
  size_bytes: row[7] === null ? null : Number(row[7]),
})

function notAllowed({ address }: Link, source: string, name: string): SalvorError {
  const quotedName = `"${name.replaceAll('"', '""')}"`
  const fix = `GRANT CONNECT ON DATABASE ${quotedName} TO ${address.user};`
  return new SalvorError('SOURCE_PRIVILEGE_MISSING', { source, user: address.user, what: `connect to ${name}`, fix })
}

const EXTENSIONS = `SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY extname`

export async function extensionsOf(link: Link, signal: AbortSignal): Promise<{ name: string; version: string }[]> {
  const [set] = await link.rows(EXTENSIONS, COMMAND_IDLE_MS, signal)
  return set?.rows.map(([name, version]) => ({ name: name!, version: version ?? '' })) ?? []
}
