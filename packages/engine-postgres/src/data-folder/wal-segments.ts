import { lsnValue } from '../base-backup/lsn.ts'
import type { WalRange } from './manifest.ts'

/** Names of the segments that replay from `start` to `end` reads. */
export function segmentsOf({ timeline, start, end }: WalRange, segmentBytes: number): string[] {
  const size = BigInt(segmentBytes)
  const perId = 0x1_0000_0000n / size
  const first = lsnValue(start) / size
  // The end is the first byte that is not needed.
  const last = (lsnValue(end) - 1n) / size
  const names: string[] = []
  for (let segment = first; segment <= last; segment++) {
    names.push(hex(BigInt(timeline)) + hex(segment / perId) + hex(segment % perId))
  }
  return names
}

const hex = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0')
