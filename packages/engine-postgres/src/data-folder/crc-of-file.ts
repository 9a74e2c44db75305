import { closeSync, openSync, readSync } from 'node:fs'
import { crc32c, crcHex } from './crc32c.ts'

/** CRC-32C of a whole file, as backup_manifest writes it. */
export function crcOfFile(path: Buffer): string {
  const file = openSync(path, 'r')
  const buffer = new Uint8Array(1024 * 1024)
  let crc = 0
  try {
    for (let count; (count = readSync(file, buffer)) > 0;) crc = crc32c(buffer.subarray(0, count), crc)
  } finally {
    closeSync(file)
  }
  return crcHex(crc)
}
