const MAGIC = 'SQLite format 3\0'
export const HEADER_BYTES = 100
/** SQLite locks bytes from here on and never stores anything in the page that holds them. */
const LOCK_BYTE = 0x4000_0000

export interface Header {
  readonly page_size: number
  readonly wal: boolean
  /** Null where an old writer left a size that does not count. */
  readonly page_count: number | null
}

/** The facts of page 1; null for bytes that no SQLite database begins with (an encrypted one does not either). */
export function parseHeader(bytes: Buffer): Header | null {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, 16) !== MAGIC) return null
  const stored = bytes.readUInt16BE(16)
  const pageSize = stored === 1 ? 65536 : stored
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) return null
  const counts = bytes.readUInt32BE(24) === bytes.readUInt32BE(92) && bytes.readUInt32BE(28) > 0
  return { page_size: pageSize, wal: bytes[18] === 2, page_count: counts ? bytes.readUInt32BE(28) : null }
}

/** The ranges of a database that are taken as zeros: its lock-byte page, if it is large enough to have one. */
export function unusedRanges(size: number, pageSize: number): { readonly offset: number; readonly length: number }[] {
  if (size <= LOCK_BYTE || pageSize === 0) return []
  return [{ offset: LOCK_BYTE, length: Math.min(pageSize, size - LOCK_BYTE) }]
}

/** What is wrong with the size of a main file that nobody writes to; null if nothing is. */
export function sizeFault(size: number, pageSize: number, pageCount: number): string | null {
  if (size < pageSize * pageCount) return `the file has ${size} bytes, its header says ${pageSize * pageCount}`
  if (size % pageSize !== 0) return `the file has ${size} bytes, which is no multiple of its page size ${pageSize}`
  return null
}
