import { FilesDiffer } from '../data-folder/compare.ts'
import { PAGE } from '../incremental/form.ts'

/** A row of pg_database that may be the present one. */
export interface DatabaseRow {
  readonly oid: string
  readonly name: string
}

/** pg_database, whose file pg_filenode.map names. */
const PG_DATABASE = 1262
const MAP_MAGIC = 0x592717
const PAGE_HEADER = 24
const LINE_NORMAL = 1
const TUPLE_HEADER = 23
const NAME_BYTES = 64
const XMIN = { mask: 0x300, invalid: 0x200 } as const
const XMAX = { lockOnly: 0x80, committed: 0x400, invalid: 0x800 } as const

/** Number of the file of pg_database, out of global/pg_filenode.map (PostgreSQL 13 to 18). */
export function databaseFile(map: Buffer): number {
  const count = map.length < 8 || map.readInt32LE(0) !== MAP_MAGIC ? 0 : map.readInt32LE(4)
  for (let at = 8, left = count; left > 0 && at + 8 <= map.length; at += 8, left--) {
    if (map.readUInt32LE(at) === PG_DATABASE) return map.readUInt32LE(at + 4)
  }
  throw new FilesDiffer('global/pg_filenode.map does not name the file of pg_database')
}

/**
 * The rows in a file of pg_database as a base backup has it: before replay. Of a row that was changed meanwhile old and new are given;
 * only rows that are known to be dead are left out.
 */
export function databaseRows(heap: Buffer): DatabaseRow[] {
  const rows: DatabaseRow[] = []
  for (let at = 0; at + PAGE <= heap.length; at += PAGE) rows.push(...rowsOfPage(heap.subarray(at, at + PAGE)))
  return rows
}

function rowsOfPage(page: Buffer): DatabaseRow[] {
  const rows: DatabaseRow[] = []
  const lower = Math.min(page.readUInt16LE(12), PAGE)
  for (let at = PAGE_HEADER; at + 4 <= lower; at += 4) {
    const line = page.readUInt32LE(at)
    const [offset, state, length] = [line & 0x7fff, (line >>> 15) & 3, line >>> 17]
    if (state !== LINE_NORMAL || length < TUPLE_HEADER || offset + length > PAGE) continue
    const row = rowOf(page.subarray(offset, offset + length))
    if (row !== null) rows.push(row)
  }
  return rows
}

/** Since 12 the first columns are oid and datname. */
function rowOf(tuple: Buffer): DatabaseRow | null {
  const info = tuple.readUInt16LE(20)
  const data = tuple[22]!
  if (isDead(info) || data + 4 + NAME_BYTES > tuple.length) return null
  const name = tuple.subarray(data + 4, data + 4 + NAME_BYTES)
  const end = name.indexOf(0)
  return { oid: String(tuple.readUInt32LE(data)), name: name.toString('utf8', 0, end === -1 ? NAME_BYTES : end) }
}

function isDead(info: number): boolean {
  if ((info & XMIN.mask) === XMIN.invalid) return true
  return (info & XMAX.committed) !== 0 && (info & (XMAX.invalid | XMAX.lockOnly)) === 0
}
