import { closeSync } from 'node:fs'
import { crc32c, crcHex } from './crc32c.ts'
import type { Tree } from './tree.ts'

const STEP = Buffer.alloc(1024 * 1024)
/** Most files of a large table have the one length of a segment. */
const known = new Map<number, string>()
const MOST_KNOWN = 4096

/** CRC-32C of so many zeros, as backup_manifest writes it. */
export function crcOfZeros(size: number): string {
  const found = known.get(size)
  if (found !== undefined) return found
  let crc = 0
  for (let left = size; left > 0; left -= STEP.length) crc = crc32c(STEP.subarray(0, Math.min(left, STEP.length)), crc)
  if (known.size < MOST_KNOWN) known.set(size, crcHex(crc))
  return crcHex(crc)
}

/** A file of zeros that takes no room. */
export function makeZeros(tree: Tree, name: string, size: number): void {
  const file = tree.create(name, size)
  tree.blank(file, size)
  closeSync(file)
}
