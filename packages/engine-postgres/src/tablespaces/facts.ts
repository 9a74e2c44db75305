import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import type { Row } from '../protocol/link.ts'

/** A tablespace with a place of its own. Its files are `pg_tblspc/<oid>/…` in the archive. */
export interface Tablespace {
  readonly oid: string
  /** Where it lay on the source: a name for people and for `--tablespace`, never a place that is written to. */
  readonly location: string
}

type EngineFacts = SnapshotFacts['engine_facts']

const FACT = 'tablespace_'
/** The manifest of a backup holds 64 KiB. */
const MOST_BYTES = 40_000

/** Rows of oid and place as facts of a manifest: `tablespaces`, and `tablespace_<oid>` for each with a place of its own. */
export function tablespaceFacts(source: string, rows: readonly Row[]): EngineFacts {
  const own = rows.flatMap(([oid, location]) => (isOwnPlace(location) ? [[`${FACT}${oid}`, location] as const] : []))
  if (own.length === 0) return {}
  const bytes = own.reduce(
    (sum, [name, location]) => sum + name.length + Buffer.byteLength(JSON.stringify(location)),
    0,
  )
  if (bytes > MOST_BYTES) {
    const what = `its ${own.length} tablespaces have too long names together for the manifest of a backup`
    throw new SalvorError('SOURCE_UNSUPPORTED', { source, what, fix: 'drop tablespaces that are not used' })
  }
  return { tablespaces: own.length, ...Object.fromEntries(own) }
}

/** In-place tablespaces (a developer's setting) lie in pg_tblspc itself: they are files like all others. */
const isOwnPlace = (location: string | null | undefined): location is string =>
  typeof location === 'string' && !/^pg_tblspc\/\d+$/.test(location)

export function tablespacesOf(facts: EngineFacts): Tablespace[] {
  return Object.entries(facts).flatMap(([name, location]) => {
    const oid = /^tablespace_([1-9]\d{0,9})$/.exec(name)?.[1]
    return oid !== undefined && typeof location === 'string' ? [{ oid, location }] : []
  })
}
