import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { type ChangePath, changePaths, type LongStep } from './change-paths.ts'
import { spanEnd, SPANS_MS, stepsBySpan } from './compaction.ts'
import { ago } from './retention.ts'

/** How far clocks may have been set between a backup and a set. */
const SLACK_MS = 2_000
/** How long every instant comes back, where `retention.pitr` says nothing. */
const EVERY_INSTANT = '7d'

/** From when on which instants come back. The empty text: from the beginning. */
export interface KeptSince {
  /** Every one. */
  readonly every: Instant
  /** The last one of each hour. */
  readonly hourly: Instant
  /** The last one of each day; what is older goes, if no kept one stands on it. */
  readonly daily: Instant
}

/** Sets that go, and the one that brings what they brought; null: they are too old for any. */
export interface Thinned {
  readonly sets: readonly StoredChangeSet[]
  readonly by: StoredChangeSet | null
}

/** By the retention of the source: a class without a rule is kept until someone decides, and none is kept for less than a finer one. */
export function keptSince(
  retention: { readonly pitr?: string; readonly full?: string; readonly monthly?: string },
  now: Instant,
): KeptSince {
  const since = (rule: string | undefined): Instant => (rule === undefined ? '' : ago(now, rule))
  const earlier = (a: Instant, b: Instant): Instant => (a < b ? a : b)
  const every = since(retention.pitr ?? EVERY_INSTANT)
  const hourly = earlier(every, since(retention.full))
  return { every, hourly, daily: earlier(hourly, since(retention.monthly)) }
}

/**
 * What one store need not hold any more, by the sets that it holds. Sets go only where one that stays brings the end of their hour, or day, from its very
 * beginning; those behind the last rule only where a proven backup carries all that is younger. `proven`: instants of proven backups; none: nothing goes.
 */
export function thinned(
  sets: readonly StoredChangeSet[],
  since: KeptSince,
  proven: readonly Instant[],
): readonly Thinned[] {
  if (proven.length === 0) return []
  const base = proven
    .filter((at) => at <= since.daily)
    .toSorted()
    .at(-1)
  const paths = changePaths(sets)
  const found = paths.map((path, n) => {
    const old = base === undefined ? -1 : carriedBy(path, base, n === paths.length - 1)
    const hours = covered(path, SPANS_MS.hour, since.every)
    const days = covered(path, SPANS_MS.day, since.hourly)
    const aged = steps(path).filter(({ to }) => to <= old)
    return [...days, ...hours, { sets: aged.map(({ set }) => set), by: null }]
  })
  const isGone = goneOnAll(paths, found)
  const once = eachOnce(found.flat())
  return once
    .map(({ sets: some, by }) => ({ sets: some.filter(isGone), by }))
    .filter(({ sets: some }) => some.length > 0)
}

/** A set on several ways, of which one goes on, is not needed only when none of them needs it. */
function goneOnAll(paths: readonly ChangePath[], found: readonly (readonly Thinned[])[]) {
  const needed = new Set<StoredChangeSet>()
  for (const [n, path] of paths.entries()) {
    const gone = new Set(found[n]!.flatMap(({ sets }) => sets))
    for (const { set } of steps(path)) if (!gone.has(set)) needed.add(set)
  }
  return (set: StoredChangeSet): boolean => !needed.has(set)
}

/** A set is in the first that names it; one that others are replaced by may itself go later on, by a longer one. */
function eachOnce(found: readonly Thinned[]): readonly Thinned[] {
  const gone = new Set<StoredChangeSet>()
  const once = found.map(({ sets, by }) => {
    const own = sets.filter((set) => !gone.has(set))
    for (const set of own) gone.add(set)
    return { sets: own.toSorted((a, b) => (a.to_at > b.to_at ? -1 : 1)), by }
  })
  return once.filter(({ sets }) => sets.length > 0)
}

function steps({ sets, longer }: ChangePath): readonly LongStep[] {
  return [...sets.map((set, n) => ({ set, from: n, to: n })), ...longer]
}

/** Of each span that lies before `until` and has one set for all of it: the others in it. */
function covered(path: ChangePath, span: number, until: Instant): readonly Thinned[] {
  const all = steps(path)
  return stepsBySpan(path, span).flatMap(([from, to]): Thinned[] => {
    if (from === to || spanEnd(path.sets[from]!.to_at, span) > until) return []
    const whole = path.longer.find((step) => step.from === from && step.to === to)
    if (!whole) return []
    const within = all.filter((step) => step.from >= from && step.to <= to && step !== whole)
    return [{ sets: within.map(({ set }) => set), by: whole.set }]
  })
}

/** The last step that is not needed for what comes behind `base`; -1: each is. The newest way is never left without a set. */
function carriedBy({ sets }: ChangePath, base: Instant, isNewest: boolean): number {
  const last = sets.at(-1)!
  if (!isNewest && shifted(last.to_at, SLACK_MS) < base) return sets.length - 1
  const first = sets.findLastIndex(({ from_at, to_at, stands_on, method }) => {
    // What was found by comparing with the state before cannot be laid over another one.
    if (method === 'scan' && stands_on === 'previous') return false
    return shifted(stands_on === 'base' ? to_at : from_at, SLACK_MS) <= base
  })
  return first - 1
}
