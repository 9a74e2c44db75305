import { type ChangeBase, type ChangeFacts, changeLines } from '@salvor/policy/change-line'
import { type ChangesPlan, type ChangesWish, planChanges } from '@salvor/policy/changes-plan'
import { isNewestReached } from '@salvor/policy/changes-proof'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import { stateOf } from '@salvor/shared/vocabulary/change-set'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { carriersOf, type ChangeRange, changeSetsOf } from './change-facts.ts'

/** Around a target, and before the backup that it is reached from: the sets in between belong to it, and the one that follows. */
const AROUND_MS = 3_600_000
/** Of the backups before a target, the newest may not serve. */
const BACKUPS_TRIED = [1, 4]

/** `planChanges`, from no more sets than it takes: a second between two sets makes 600,000 of them in a week. TARGET_OUTSIDE_WINDOW. */
export async function planChangesOf(deps: Deps, wish: ChangesWish, from: string | null): Promise<ChangesPlan> {
  const { source } = wish
  const carriers = await carriersOf(deps, source)
  const last = await deps.catalog.lastChangeSet(source)
  for (const range of rangesOf(carriers.bases, wish)) {
    const facts = { ...carriers, sets: await changeSetsOf(deps, source, from, range) }
    try {
      const plan = planChanges(facts, wish)
      // Where the newest set hangs on one that is older than the range, all of them tell whether it comes back.
      if (wish.target.kind === 'time' || last === null || plan.recovers_to >= last.to_at) return plan
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'TARGET_OUTSIDE_WINDOW') throw error
    }
  }
  return planChanges({ ...carriers, sets: await changeSetsOf(deps, source, from) }, wish)
}

/** The facts about what was stored since an instant; all there are, where it takes older sets to reach the newest. */
export async function changeFactsSince(deps: Deps, source: string, since: Instant): Promise<ChangeFacts> {
  const carriers = await carriersOf(deps, source)
  const last = await deps.catalog.lastChangeSet(source)
  const recent = { ...carriers, sets: await changeSetsOf(deps, source, null, { since: shifted(since, -AROUND_MS) }) }
  if (last === null || isNewestReached(recent, [last])) return recent
  return { ...carriers, sets: await changeSetsOf(deps, source, null) }
}

/**
 * The facts about a time, with what its beginning hangs on; all there are, where a set of that time hangs on one that is older still, or nothing brings its
 * beginning.
 */
export async function changeFactsBetween(
  deps: Deps,
  source: string,
  from: string | null,
  { since, until }: ChangeRange,
): Promise<ChangeFacts> {
  const carriers = await carriersOf(deps, source)
  const end = until === undefined ? {} : { until: shifted(until, AROUND_MS) }
  if (since !== undefined) {
    const target = { kind: 'time', at: since } as const
    for (const { since: begin } of rangesOf(carriers.bases, { source, target, backup_id: null })) {
      const facts = { ...carriers, sets: await changeSetsOf(deps, source, from, { ...end, since: begin! }) }
      if (isWhole(facts, since) && isReached(facts, { source, target, backup_id: null })) return facts
    }
  }
  return { ...carriers, sets: await changeSetsOf(deps, source, from, end) }
}

/** Whether every set from that instant on comes back by these facts. */
function isWhole(facts: ChangeFacts, since: Instant): boolean {
  const within = new Set(changeLines(facts).flatMap(({ sets, longer }) => [...sets, ...longer.map(({ set }) => set)]))
  const states = new Set([...within].map(stateOf))
  return facts.sets.every((set) => set.to_at < since || states.has(stateOf(set)))
}

function isReached(facts: ChangeFacts, wish: ChangesWish): boolean {
  try {
    return planChanges(facts, wish) !== null
  } catch (error) {
    if (error instanceof SalvorError && error.code === 'TARGET_OUTSIDE_WINDOW') return false
    throw error
  }
}

function rangesOf(bases: readonly ChangeBase[], { target, backup_id }: ChangesWish): readonly ChangeRange[] {
  const at = target.kind === 'time' ? target.at : null
  const until = at === null ? {} : { until: shifted(at, AROUND_MS) }
  const serving = backup_id === null ? bases : bases.filter((base) => base.backup_id === backup_id)
  const before = serving.map(({ consistent_at }) => consistent_at).filter((taken) => at === null || taken <= at)
  const newest = before.toSorted().toReversed()
  return BACKUPS_TRIED.flatMap((count) => {
    const since = newest[Math.min(count, newest.length) - 1]
    return since === undefined ? [] : [{ since: shifted(since, -AROUND_MS), ...until }]
  })
}
