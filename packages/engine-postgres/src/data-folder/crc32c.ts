import { crc32c as sumOf } from '@node-rs/crc32'

// Worker threads load this file: no package of this project may be imported here.

/** CRC-32C (Castagnoli) of more bytes, going on from `crc` (0 at the start). Unsigned. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  return sumOf(bytes, crc)
}

/** As backup_manifest writes it: the four bytes, lowest first. */
export function crcHex(crc: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(crc)
  return bytes.toString('hex')
}
