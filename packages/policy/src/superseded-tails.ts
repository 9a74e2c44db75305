import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import type { StoredWal } from '@salvor/shared/vocabulary/wal'

type Ranged = Pick<StoredWal, 'kind' | 'name' | 'store' | 'system_id' | 'timeline' | 'start_lsn' | 'end_lsn'>

/**
 * Tails that are worth nothing: one other piece of the same cluster, timeline and store, a segment or a longer tail, holds all of
 * their bytes. What is not in the list must stay.
 */
export function supersededTails<P extends Ranged>(pieces: readonly P[]): readonly P[] {
  const lines = Map.groupBy(pieces, ({ store, system_id, timeline }) => `${store} ${timeline} ${system_id}`)
  return [...lines.values()].flatMap((line) => coveredTails(line))
}

interface Range<P> {
  readonly piece: P
  readonly start: bigint
  readonly end: bigint
}

/** The same of pieces of one timeline of one cluster, wherever they lie. */
export function coveredTails<P extends Ranged>(line: readonly P[]): readonly P[] {
  const ranges: Range<P>[] = line.flatMap((piece) => {
    const { kind, start_lsn, end_lsn } = piece
    if ((kind !== 'segment' && kind !== 'tail') || start_lsn === null || end_lsn === null) return []
    return [{ piece, start: lsnValue(start_lsn), end: lsnValue(end_lsn) }]
  })
  // Of those that begin together the longest comes first: what a tail lies within always comes before it.
  const byStart = ranges.toSorted((a, b) => compare(a.start, b.start) || compare(b.end, a.end))
  let reached = -1n
  const found: P[] = []
  for (const { piece, end } of byStart) {
    // `reached` is the end of one piece that begins no later than this one.
    if (end <= reached && piece.kind === 'tail') found.push(piece)
    if (end > reached) reached = end
  }
  return found
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
