import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { segmentAt } from '@salvor/shared/vocabulary/wal'
import type { WalRange } from './manifest.ts'

/** Names of the segments that replay from `start` to `end` reads. */
export function segmentsOf({ timeline, start, end }: WalRange, segmentBytes: number): string[] {
  const size = BigInt(segmentBytes)
  const names: string[] = []
  // The end is the first byte that is not needed.
  for (let at = lsnValue(start) - (lsnValue(start) % size); at < lsnValue(end); at += size) {
    names.push(segmentAt(timeline, at, segmentBytes))
  }
  return names
}
