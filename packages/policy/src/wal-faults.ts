import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { StoredWal, WalGap } from '@salvor/shared/vocabulary/wal'

export type NewGap = Omit<WalGap, 'detected_at'>

/** A piece that one store does not have as it should, and why. */
export interface FaultyWal {
  readonly piece: StoredWal
  readonly reason: string
}

/** The gaps that faults leave where no other store has the piece: neighbours are one. History files leave none. */
export function gapsLeft(faults: readonly FaultyWal[], elsewhere: ReadonlySet<string>): readonly NewGap[] {
  const gaps: NewGap[] = []
  const lost = faults.filter(({ piece }) => piece.kind === 'segment' && !elsewhere.has(piece.name))
  for (const { piece, reason } of lost.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))) {
    const { source, system_id, timeline, start_lsn, end_lsn, store } = piece
    if (system_id === null || start_lsn === null || end_lsn === null) continue
    const last = gaps.at(-1)
    if (last && last.timeline === timeline && lsnValue(last.to_lsn) >= lsnValue(start_lsn)) {
      gaps[gaps.length - 1] = { ...last, to_lsn: end_lsn }
      continue
    }
    const why = `${piece.name} in ${store}: ${reason}`
    const ends = { from_lsn: start_lsn, to_timeline: timeline, to_lsn: end_lsn }
    gaps.push({ source, system_id, timeline, ...ends, reason: why })
  }
  return gaps
}

/** Segments sort by name as they follow each other. */
const key = ({ piece }: FaultyWal): string => piece.name
