import { createHash } from 'node:crypto'

/** A number from 0 to 1 that is spread evenly over ids, and the same for one of them each time. */
export function chanceOf(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE(0) / 0x1_0000_0000
}
