// Worker threads load this file by itself: only Node's own modules may be imported here.

const POLYNOMIAL = 0x82f63b78
const SLICES = 16
const T = tables()

/** Slicing-by-16 tables, the slice of the last byte first. */
function tables(): Int32Array {
  const table = new Int32Array(256 * SLICES)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256]!
    table[at] = table[before & 255]! ^ (before >>> 8)
  }
  return table
}

/**
 * CRC-32C (Castagnoli) of more bytes, going on from `crc` (0 at the start). Unsigned. `bytes` should begin at a multiple
 * of four in its buffer: then sixteen bytes are taken at once.
 */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  let sum = ~crc
  let at = 0
  if (bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, (bytes.length >>> 4) << 2)
    sum = overWords(words, sum)
    at = words.length << 2
  }
  for (; at < bytes.length; at++) sum = T[(sum ^ bytes[at]!) & 255]! ^ (sum >>> 8)
  return ~sum >>> 0
}

function overWords(words: Int32Array, start: number): number {
  let sum = start
  for (let at = 0; at < words.length; at += 4) {
    const a = sum ^ words[at]!
    const b = words[at + 1]!
    const c = words[at + 2]!
    const d = words[at + 3]!
    sum =
      T[3840 + (a & 255)]! ^
      T[3584 + ((a >>> 8) & 255)]! ^
      T[3328 + ((a >>> 16) & 255)]! ^
      T[3072 + (a >>> 24)]! ^
      T[2816 + (b & 255)]! ^
      T[2560 + ((b >>> 8) & 255)]! ^
      T[2304 + ((b >>> 16) & 255)]! ^
      T[2048 + (b >>> 24)]! ^
      T[1792 + (c & 255)]! ^
      T[1536 + ((c >>> 8) & 255)]! ^
      T[1280 + ((c >>> 16) & 255)]! ^
      T[1024 + (c >>> 24)]! ^
      T[768 + (d & 255)]! ^
      T[512 + ((d >>> 8) & 255)]! ^
      T[256 + ((d >>> 16) & 255)]! ^
      T[d >>> 24]!
  }
  return sum
}

/** As backup_manifest writes it: the four bytes, lowest first. */
export function crcHex(crc: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(crc)
  return bytes.toString('hex')
}
