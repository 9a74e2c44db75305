import type { Instant } from '@salvor/shared/vocabulary/instant'
import { lsnText, lsnValue, type Lsn } from '@salvor/shared/vocabulary/lsn'
import type { Ancestor } from '@salvor/shared/vocabulary/timeline-history'
import type { StoredWal, WalStreamState } from '@salvor/shared/vocabulary/wal'
import { coveredTails } from './superseded-tails.ts'

/** A backup from which WAL can be replayed. */
export interface RecoveryBase {
  readonly backup_id: string
  /** Everything committed before is in it. */
  readonly consistent_at: Instant
  readonly system_id: string
  readonly timeline: number
  /** Replay begins there; from `stop_lsn` on the copy is consistent. */
  readonly start_lsn: Lsn
  readonly stop_lsn: Lsn
}

/** Everything that is known of what a source can be recovered to. */
export interface RecoveryFacts {
  readonly bases: readonly RecoveryBase[]
  /** One row for each piece, whatever the number of stores that have it. */
  readonly wal: readonly StoredWal[]
  /** Content of the history files, by timeline. */
  readonly histories: ReadonlyMap<number, readonly Ancestor[]>
  readonly stream: WalStreamState | null
}

/** WAL without a hole that can be replayed on a base. */
export interface Reach {
  readonly base: RecoveryBase
  /** Pieces in the order in which they are replayed. */
  readonly pieces: readonly StoredWal[]
  readonly timeline: number
  readonly end_lsn: Lsn
  /** The latest instant that can be asked for: of the last commit, or up to which it is known that nothing more was committed. */
  readonly latest_at: Instant
}

interface Run {
  readonly start: bigint
  readonly end: bigint
  readonly pieces: readonly StoredWal[]
}

interface Leg {
  readonly timeline: number
  /** Where the next timeline left this one; null: it is the last. */
  readonly to: bigint | null
}

/** The WAL of one cluster along one timeline and its ancestors. */
export class WalLine {
  readonly timeline: number
  readonly system_id: string
  readonly #facts: RecoveryFacts
  readonly #legs: readonly Leg[]
  readonly #runs = new Map<number, readonly Run[]>()

  constructor(facts: RecoveryFacts, system_id: string, timeline: number) {
    this.timeline = timeline
    this.system_id = system_id
    this.#facts = facts
    const ancestors = facts.histories.get(timeline) ?? []
    this.#legs = [
      ...ancestors.map(({ timeline: former, end }) => ({ timeline: former, to: end })),
      { timeline, to: null },
    ]
  }

  /** How far WAL can be replayed on a base. Null: not even to where it is consistent, or it lies on another line. */
  reachOf(base: RecoveryBase): Reach | null {
    if (base.system_id !== this.system_id) return null
    const first = this.#legs.findIndex(({ timeline }) => timeline === base.timeline)
    const stop = lsnValue(base.stop_lsn)
    const left = this.#legs[first]?.to ?? null
    if (first === -1 || (left !== null && stop > left)) return null
    let at = lsnValue(base.start_lsn)
    let { timeline } = base
    const pieces: StoredWal[] = []
    for (const leg of this.#legs.slice(first)) {
      const run = this.#runsOf(leg.timeline).find(({ start, end }) => start <= at && at <= end)
      if (!run) break
      const end = leg.to !== null && leg.to < run.end ? leg.to : run.end
      const from = at
      const needed = run.pieces.filter((piece) => endOf(piece) > segmentOf(piece, from) && startOf(piece) < end)
      pieces.push(...needed.map((piece) => upTo(piece, leg.to)))
      at = end
      timeline = leg.timeline
      if (leg.to === null || end < leg.to) break
    }
    if (at < stop) return null
    return { base, pieces, timeline, end_lsn: lsnText(at), latest_at: this.#latest(base, pieces, timeline, at) }
  }

  #latest(base: RecoveryBase, pieces: readonly StoredWal[], timeline: number, end: bigint): Instant {
    const { stream } = this.#facts
    const commits = pieces.flatMap(({ last_commit_at }) => last_commit_at ?? [])
    const isTip =
      stream?.system_id === this.system_id && stream.timeline === timeline && lsnValue(stream.stored_lsn) <= end
    const known = [
      base.consistent_at,
      ...commits,
      ...((isTip ? stream?.covered_until : null) ? [stream!.covered_until!] : []),
    ]
    return known.reduce((latest, at) => (at > latest ? at : latest))
  }

  /** Stretches of a timeline without a hole, ascending. */
  #runsOf(timeline: number): readonly Run[] {
    const there = this.#runs.get(timeline)
    if (there) return there
    const runs: { start: bigint; end: bigint; pieces: StoredWal[] }[] = []
    const ranged = this.#facts.wal.filter(
      (piece) =>
        piece.timeline === timeline &&
        piece.system_id === this.system_id &&
        (piece.kind === 'segment' || piece.kind === 'tail'),
    )
    const covered = new Set(coveredTails(ranged))
    const needed = ranged.filter((piece) => !covered.has(piece))
    for (const piece of needed.toSorted((a, b) => compare(startOf(a), startOf(b)) || compare(endOf(a), endOf(b)))) {
      const last = runs.at(-1)
      if (last && startOf(piece) <= last.end) {
        last.pieces.push(piece)
        if (endOf(piece) > last.end) last.end = endOf(piece)
      } else runs.push({ start: startOf(piece), end: endOf(piece), pieces: [piece] })
    }
    this.#runs.set(timeline, runs)
    return runs
  }
}

/** Where the segment begins in which a position lies: a server reads a segment from its first byte. */
const segmentOf = ({ segment_size }: StoredWal, position: bigint): bigint =>
  segment_size === null ? position : position - (position % BigInt(segment_size))

/** What was committed behind the switch belongs to a line that was given up; below it the next timeline's copy has it too. */
function upTo(piece: StoredWal, to: bigint | null): StoredWal {
  if (to === null || endOf(piece) <= to) return piece
  const restore_points = piece.restore_points.filter(({ lsn }) => lsnValue(lsn) < to)
  return { ...piece, first_commit_at: null, last_commit_at: null, last_commit_lsn: null, restore_points }
}

const startOf = (piece: StoredWal): bigint => lsnValue(piece.start_lsn!)
const endOf = (piece: StoredWal): bigint => lsnValue(piece.end_lsn!)
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
