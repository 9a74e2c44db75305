import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import { shownTarget, type RecoveryTarget } from '@salvor/shared/vocabulary/recovery'
import { fewestSteps } from './change-paths.ts'
import {
  type ChangeBase,
  type ChangeGap,
  changeGaps,
  type ChangeFacts,
  type ChangeLine,
  changeLines,
} from './change-line.ts'

/** How far clocks may have been set between a backup and a set: sets that the backup has already do no harm. */
const SLACK_MS = 2_000
/** Behind every backup. */
const NEVER: Instant = '9999-12-31T23:59:59.999999Z'

export interface ChangesWish {
  readonly source: string
  readonly target: RecoveryTarget
  /** The backup to start from; null: the newest that serves. */
  readonly backup_id: string | null
}

export interface ChangesPlan {
  readonly backup_id: string
  /** Oldest first. */
  readonly sets: readonly StoredChangeSet[]
  /** The instant whose state comes back: nothing was committed between it and the last of them. */
  readonly recovers_to: Instant
}

/** Picks the backup and just the sets that a target needs. TARGET_OUTSIDE_WINDOW, with the nearest that can be had. */
export function planChanges(facts: ChangeFacts, { source, target, backup_id }: ChangesWish): ChangesPlan {
  const refused = (reason: string) =>
    new SalvorError('TARGET_OUTSIDE_WINDOW', { source, target: shownTarget(target), reason })
  if (target.kind !== 'time' && target.kind !== 'latest') throw refused('SQLite has no such target: name an instant')
  const lines = changeLines(facts)
  const chosen = backup_id === null ? facts.bases : facts.bases.filter((base) => base.backup_id === backup_id)
  const at = target.kind === 'time' ? target.at : newest(facts, lines)
  if (at === null) throw refused('it has no backup')
  const around = lines.filter(({ earliest_at, latest_at }) => earliest_at <= at && at <= latest_at)
  const alone = chosen.find(({ consistent_at }) => consistent_at === at)
  const isIn = ({ from_at, to_at }: ChangeGap): boolean => from_at < at && at < to_at
  // One that has more sets left may reach into what is a gap of another.
  const line = around.findLast((one) => !changeGaps(one).some(isIn))
  const gap = changeGaps(facts).find(isIn)
  if (line && (!gap || around.length > 1)) return within(line, at, chosen, refused)
  if (alone) return { backup_id: alone.backup_id, sets: [], recovers_to: at }
  if (gap) throw refused(`${gap.reason}; what comes back next to it is ${gap.from_at} and ${gap.to_at}`)
  throw refused(nearest(facts, lines, at))
}

function newest({ bases }: ChangeFacts, lines: readonly ChangeLine[]): Instant | null {
  const ends = [...bases.map(({ consistent_at }) => consistent_at), ...lines.map(({ latest_at }) => latest_at)]
  return ends.length === 0 ? null : ends.reduce((a, b) => (a > b ? a : b))
}

function within(
  line: ChangeLine,
  at: Instant,
  bases: readonly ChangeBase[],
  refused: (reason: string) => SalvorError,
): ChangesPlan {
  const { sets } = line
  const last = sets.findLastIndex(({ to_at }) => to_at <= at)
  const reached = sets[last]
  const next = sets[last + 1]
  const newer = newestOf(bases, reached?.to_at ?? '', at)
  // Up to where it is known that nothing else was committed.
  const state = newer?.consistent_at ?? reached?.to_at ?? at
  const until = untilNext(next, state, at)
  const recovers_to = until > state ? until : state
  if (newer) return { backup_id: newer.backup_id, sets: [], recovers_to }
  if (!reached) throw refused('the backup that was named is not the one before that instant')
  let most = reached.to_at
  for (let i = last; i >= 0; i -= 1) {
    const set = sets[i]!
    if (isCompared(set) && set.from_at < most) most = set.from_at
    const own = bases.find(({ backup_id }) => backup_id === set.base)
    const other = newestOf(bases, leastFor(set, sets[i - 1]), most)
    const base = set.stands_on === 'base' ? (own ?? other) : other
    if (base) return { backup_id: base.backup_id, sets: fewestSteps(line, i, last), recovers_to }
    if (set.stands_on === 'base') break
  }
  throw refused('the backup that its change sets stand on cannot be read, or is not the one that was named')
}

/**
 * Found by comparing with the state before: a page that was changed and changed back is not in it. So it may be laid over that very state only, not over
 * one in between.
 */
function isCompared({ method, stands_on }: StoredChangeSet): boolean {
  return method === 'scan' && stands_on === 'previous'
}

/** The oldest backup that a set can be laid over. */
function leastFor(set: StoredChangeSet, before: StoredChangeSet | undefined): Instant {
  const { method, stands_on, brings_state_of, from_at, to_at } = set
  if (stands_on === 'base') {
    // All that differs from its base may be laid over a later backup, if that is not older than the look that found it.
    return method === 'log' && brings_state_of !== null ? from_at : to_at
  }
  if (before) return shifted(before.to_at, SLACK_MS)
  return isCompared(set) ? NEVER : from_at
}

function untilNext(next: StoredChangeSet | undefined, state: Instant, at: Instant): Instant {
  if (!next) return at
  // Found by comparing: when it was committed is not known.
  if (next.stands_on === 'base') return state
  return next.from_at < at ? next.from_at : at
}

function newestOf(bases: readonly ChangeBase[], from: Instant, to: Instant): ChangeBase | undefined {
  const fitting = bases.filter(({ consistent_at }) => consistent_at >= from && consistent_at <= to)
  return fitting.toSorted((a, b) => (a.consistent_at < b.consistent_at ? -1 : 1)).at(-1)
}

function nearest({ bases }: ChangeFacts, lines: readonly ChangeLine[], at: Instant): string {
  const ends = [
    ...bases.map(({ consistent_at }) => consistent_at),
    ...lines.flatMap(({ earliest_at, latest_at }) => [earliest_at, latest_at]),
  ].toSorted()
  const before = ends.findLast((end) => end <= at)
  const after = ends.find((end) => end > at)
  if (before === undefined) return after === undefined ? 'it has no backup' : `the oldest state of it is of ${after}`
  const next = after === undefined ? '' : `, and begins again at ${after}`
  return `what is stored ends at ${before}${next}`
}
