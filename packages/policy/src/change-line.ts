import type { ChangeStreamState, StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'

/** A backup that can be read, with all it stands on. */
export interface ChangeBase {
  readonly backup_id: string
  readonly consistent_at: Instant
}

export interface ChangeFacts {
  readonly bases: readonly ChangeBase[]
  /** Each once, by `to_at`. */
  readonly sets: readonly StoredChangeSet[]
  readonly stream: ChangeStreamState | null
}

/** Sets that follow each other without a loss, and the backups that they can be laid over. */
export interface ChangeLine {
  readonly sets: readonly StoredChangeSet[]
  /** Backups within the line, the oldest first. */
  readonly bases: readonly ChangeBase[]
  readonly earliest_at: Instant
  readonly latest_at: Instant
}

/** Instants that do not come back. */
export interface ChangeGap {
  readonly from_at: Instant
  readonly to_at: Instant
  readonly reason: string
}

/** Commits of a longer span that came with one set cannot be told apart: its instants count as lost. */
const LONGEST_SPAN_MS = 300_000
const TOGETHER = 'everything that was committed meanwhile came with one set (the worker or its store was away)'

/** All lines, the oldest first; a set that no backup carries is in none. */
export function changeLines({ bases, sets, stream }: ChangeFacts): readonly ChangeLine[] {
  const byDate = bases.toSorted((a, b) => (a.consistent_at < b.consistent_at ? -1 : 1))
  const runs: StoredChangeSet[][] = []
  const runOf = new Map<string, StoredChangeSet[]>()
  for (const set of sets) {
    const before = set.previous === null || set.lost !== null ? undefined : runOf.get(set.previous)
    // Of two sets on one (a worker that was thought dead) the first is followed by both.
    const run = before ?? []
    if (!before) runs.push(run)
    run.push(set)
    runOf.set(set.document_sha256, run)
  }
  return runs.flatMap((run) => lineOf(run, byDate, stream) ?? [])
}

function lineOf(
  run: readonly StoredChangeSet[],
  bases: readonly ChangeBase[],
  stream: ChangeStreamState | null,
): ChangeLine | null {
  const [first, last] = [run[0]!, run.at(-1)!]
  const known = bases.some(({ backup_id }) => backup_id === first.base)
  const covered = stream?.last_set === last.document_sha256 ? stream.covered_until : null
  const latest_at = covered !== null && covered > last.to_at ? covered : last.to_at
  const within = bases.filter(({ consistent_at: at }) => at >= first.from_at && at <= latest_at)
  if (first.stands_on === 'base' && known) return { sets: run, bases: within, earliest_at: first.to_at, latest_at }
  const start = within[0]?.consistent_at
  return start === undefined ? null : { sets: run, bases: within, earliest_at: start, latest_at }
}

/** What lies between two sets of which one names the other, with why; the oldest first. */
export function changeGaps({ sets }: Pick<ChangeFacts, 'sets'>): readonly ChangeGap[] {
  const byDocument = new Map(sets.map((set) => [set.document_sha256, set]))
  return sets.flatMap((set) => {
    const before = set.previous === null ? undefined : byDocument.get(set.previous)
    if (set.lost !== null && before) return { from_at: before.to_at, to_at: set.to_at, reason: set.lost }
    if (isCoarse(set)) return { from_at: set.from_at, to_at: set.to_at, reason: TOGETHER }
    return []
  })
}

/** Its commits came together, from a span that is too long to be passed over. */
export function isCoarse({ stands_on, from_at, to_at }: StoredChangeSet): boolean {
  return stands_on === 'previous' && elapsedMs(from_at, to_at) > LONGEST_SPAN_MS
}
