import { expect, test } from 'vitest'
import { chooseDatabases, leftOut } from './choose.ts'
import { databaseFile, databaseRows } from './catalog-heap.ts'

function tuple(oid: number, name: string, info: number): Buffer {
  const bytes = Buffer.alloc(24 + 4 + 64 + 40)
  bytes.writeUInt16LE(info, 20)
  bytes[22] = 24
  bytes.writeUInt32LE(oid, 24)
  bytes.write(name, 28)
  return bytes
}

/** A page of these rows, with a line that leads nowhere. */
function pageOf(...tuples: Buffer[]): Buffer {
  const page = Buffer.alloc(8192)
  let upper = 8192
  tuples.forEach((bytes, i) => {
    upper -= bytes.length
    bytes.copy(page, upper)
    page.writeUInt32LE(((bytes.length << 17) | (1 << 15) | upper) >>> 0, 24 + 4 * i)
  })
  page.writeUInt16LE(24 + 4 * tuples.length + 4, 12)
  return page
}

test('rows that are dead for sure are left out, and of a renamed database both names count', () => {
  const heap = Buffer.concat([
    pageOf(
      tuple(5, 'postgres', 0x900),
      tuple(16_384, 'app', 0x900),
      tuple(16_385, 'gone', 0x500),
      tuple(16_386, 'never', 0xa00),
    ),
    pageOf(
      tuple(16_387, 'old', 0x100),
      tuple(16_387, 'new', 0x800),
      tuple(16_388, 'locked', 0x580),
      tuple(16_389, 'sp"ace', 0xb00),
    ),
  ])
  const rows = databaseRows(heap)
  expect(rows.map(({ name }) => name)).toEqual(['postgres', 'app', 'old', 'new', 'locked', 'sp"ace'])
  const oids = new Set(['5', '16384', '16387', '16389', '99999'])
  const chosen = chooseDatabases({ rows, oids }, ['old'])
  expect(leftOut(chosen)).toBe(
    'not restored: app, sp"ace. Once the server runs: DROP DATABASE "app"; DROP DATABASE "sp""ace";',
  )
  const fates = [
    'base/16384/1259',
    'base/16384/PG_VERSION',
    'base/16387/1259',
    'base/5/1',
    'pg_tblspc/9/PG_15_1/16384/4',
    'base/99999/1',
    'global/1262',
  ]
  expect(fates.map(chosen.fate)).toEqual(['zeros', 'take', 'take', 'take', 'zeros', 'take', 'take'])
  expect(() => chooseDatabases({ rows, oids }, ['locked'])).toThrow(
    'no database "locked"; it has app, new, old, postgres, sp"ace',
  )
})

test('a map that is none names no file', () => {
  const map = Buffer.alloc(512)
  expect(() => databaseFile(map)).toThrow(/does not name/)
  map.writeInt32LE(0x592717, 0)
  map.writeInt32LE(1, 4)
  map.writeUInt32LE(1262, 8)
  map.writeUInt32LE(4177, 12)
  expect(databaseFile(map)).toBe(4177)
})
