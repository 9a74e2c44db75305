import { type ChangeStreamState, stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import { type ChangePath, changePaths } from './change-paths.ts'

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

/** What comes back by sets that follow each other without a loss. */
export interface ChangeReach {
  /** Backups that they can be laid over, the oldest first. */
  readonly bases: readonly ChangeBase[]
  readonly earliest_at: Instant
  readonly latest_at: Instant
}

export interface ChangeLine extends ChangePath, ChangeReach {}

/** Instants that do not come back. */
export interface ChangeGap {
  readonly from_at: Instant
  readonly to_at: Instant
  readonly reason: string
  /** Nothing was lost: what is between was not to be kept. */
  readonly thinned?: true
}

/** Commits of a longer span that came with one set cannot be told apart: its instants count as lost. */
const LONGEST_SPAN_MS = 300_000
const TOGETHER = 'everything that was committed meanwhile came with one set (the worker or its store was away)'
const THINNED = 'the sets in between were thinned out: of that time fewer instants are kept'

/** All lines, the oldest first; a set that no backup carries is in none. */
export function changeLines({ bases, sets, stream }: ChangeFacts): readonly ChangeLine[] {
  const byDate = bases.toSorted((a, b) => (a.consistent_at < b.consistent_at ? -1 : 1))
  return changePaths(sets).flatMap((path) => lineOf(path, byDate, stream) ?? [])
}

function lineOf(path: ChangePath, bases: readonly ChangeBase[], stream: ChangeStreamState | null): ChangeLine | null {
  const reach = reachOf({ first: path.sets[0]!, last: path.sets.at(-1)! }, bases, stream)
  return reach && { ...path, ...reach }
}

/** Of a path, by its ends; `bases` by date. Null: no backup carries it. */
export function reachOf(
  { first, last }: { readonly first: StoredChangeSet; readonly last: StoredChangeSet },
  bases: readonly ChangeBase[],
  stream: ChangeStreamState | null,
): ChangeReach | null {
  const known = bases.some(({ backup_id }) => backup_id === first.base)
  const covered = stream?.last_set === stateOf(last) ? stream.covered_until : null
  const latest_at = covered !== null && covered > last.to_at ? covered : last.to_at
  const within = bases.filter(({ consistent_at: at }) => at >= first.from_at && at <= latest_at)
  if (first.stands_on === 'base' && known) return { bases: within, earliest_at: first.to_at, latest_at }
  const start = within[0]?.consistent_at
  return start === undefined ? null : { bases: within, earliest_at: start, latest_at }
}

/** What lies between two sets of which one names the other, with why; the oldest first. */
export function changeGaps({ sets }: Pick<ChangeFacts, 'sets'>): readonly ChangeGap[] {
  const ends = new Map(sets.map((set) => [stateOf(set), set.to_at]))
  const seen = new Set<StoredChangeSet>()
  const gaps = changePaths(sets).flatMap((path) => {
    return path.sets.flatMap((set, n) => {
      if (seen.has(set)) return []
      seen.add(set)
      return gapAt(set, path.sets[n - 1], ends) ?? []
    })
  })
  return gaps.toSorted((a, b) => (a.to_at < b.to_at ? -1 : 1))
}

/** What lies between a set and the one before it in its path; `ends`: the instants of states that a set may name. */
export function gapAt(
  set: StoredChangeSet,
  before: StoredChangeSet | undefined,
  ends: ReadonlyMap<string, Instant>,
): ChangeGap | null {
  const { from_at, to_at, lost, previous, stands_on } = set
  const end = previous === null ? undefined : ends.get(previous)
  if (lost !== null && end !== undefined) return { from_at: end, to_at, reason: lost }
  if (set.brings_state_of !== null) {
    const from = stands_on === 'previous' ? from_at : before?.to_at
    return from !== undefined && isLong(from, to_at) ? { from_at: from, to_at, reason: THINNED, thinned: true } : null
  }
  return stands_on === 'previous' && isLong(from_at, to_at) ? { from_at, to_at, reason: TOGETHER } : null
}

/** Too long to be passed over. */
function isLong(from: Instant, to: Instant): boolean {
  return elapsedMs(from, to) > LONGEST_SPAN_MS
}
