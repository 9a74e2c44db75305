import { expect, test } from 'vitest'
import { parseHeader, sizeFault, unusedRanges } from './header.ts'

function page1(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.alloc(100)
  bytes.write('SQLite format 3\0', 'latin1')
  bytes.writeUInt16BE(4096, 16)
  bytes[18] = 2
  bytes.writeUInt32BE(7, 24)
  bytes.writeUInt32BE(12, 28)
  bytes.writeUInt32BE(7, 92)
  change(bytes)
  return bytes
}

test('the header tells page size, mode and size', () => {
  expect(parseHeader(page1())).toEqual({ page_size: 4096, wal: true, page_count: 12 })
  expect(parseHeader(page1((bytes) => bytes.writeUInt16BE(1, 16)))?.page_size).toBe(65536)
  expect(parseHeader(page1((bytes) => (bytes[18] = 1)))?.wal).toBe(false)
})

test('a size that an old writer left behind does not count', () => {
  expect(parseHeader(page1((bytes) => bytes.writeUInt32BE(8, 24)))?.page_count).toBeNull()
})

test('other files, short files and impossible page sizes are no databases', () => {
  expect(parseHeader(page1((bytes) => (bytes[0] = 0)))).toBeNull()
  expect(parseHeader(page1().subarray(0, 99))).toBeNull()
  expect(parseHeader(page1((bytes) => bytes.writeUInt16BE(1000, 16)))).toBeNull()
  expect(parseHeader(page1((bytes) => bytes.writeUInt16BE(256, 16)))).toBeNull()
})

test('the lock-byte page is one page at 1 GiB, and only in files that reach there', () => {
  expect(unusedRanges(1024 ** 3, 4096)).toEqual([])
  expect(unusedRanges(1024 ** 3 + 8192, 4096)).toEqual([{ offset: 1024 ** 3, length: 4096 }])
  expect(unusedRanges(1024 ** 3 + 512, 512)).toEqual([{ offset: 1024 ** 3, length: 512 }])
  expect(unusedRanges(1024 ** 3 + 65536, 65536)).toEqual([{ offset: 1024 ** 3, length: 65536 }])
})

test('a file that is shorter than its header says, or ends inside a page, is damaged', () => {
  expect(sizeFault(40960, 4096, 10)).toBeNull()
  expect(sizeFault(45056, 4096, 10)).toBeNull()
  expect(sizeFault(36864, 4096, 10)).toContain('36864')
  expect(sizeFault(41000, 4096, 10)).toContain('multiple')
})
