import { changeGaps, changeLines } from '@salvor/policy/change-line'
import { type ChangesPlan, type ChangesWish, planChanges } from '@salvor/policy/changes-plan'
import { assertNoneUnread } from '@salvor/policy/unread-sets'
import { parseChangeDocumentKey } from '@salvor/repository/change-layout'
import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import { type ChangeRange, changesInput } from '@salvor/runtime/change-facts'
import { changeFactsBetween, planChangesOf } from '@salvor/runtime/plan-changes-of'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { RecoveryTarget } from '@salvor/shared/vocabulary/recovery'
import { unreadableIn } from './from-store.ts'
import type { RecoveryInstants } from './recovery-instants.ts'

/** The state of a target by backups and change sets, as `restore` brings it back: TARGET_OUTSIDE_WINDOW where that refuses. */
export async function changedPoint(
  runtime: Runtime,
  source: string,
  target: RecoveryTarget,
  store: string | null,
): Promise<AskedPoint> {
  return pointOf(await plannedChanges(runtime, { source, target, backup_id: null }, store))
}

/** `planChangesOf`; where the store alone tells what there is, refused if a set that cannot be read may belong to the state. TARGET_OUTSIDE_WINDOW. */
export async function plannedChanges(runtime: Runtime, wish: ChangesWish, store: string | null): Promise<ChangesPlan> {
  const { catalog } = runtime.deps
  const plan = await planChangesOf(runtime.deps, wish, store)
  const unread = unreadableIn(runtime).flatMap(({ key, error }) => {
    const place = parseChangeDocumentKey(key)
    return place?.source === wish.source ? [{ name: place.name, reason: error.message }] : []
  })
  if (unread.length > 0) assertNoneUnread(unread, wish, plan, (await catalog.backup(plan.backup_id)).consistent_at)
  return plan
}

/** Those of a time at least. Null: no change set stands on a backup that can be read. */
export async function changeInstants(
  { deps }: Runtime,
  source: string,
  store: string | null,
  span: ChangeRange,
): Promise<RecoveryInstants | null> {
  const facts = await changeFactsBetween(deps, source, store, span)
  const lines = changeLines(facts)
  const latest = lines.map(({ latest_at }) => latest_at).toSorted()
  if (latest.length === 0) return null
  const gaps = changeGaps(facts)
  const isLost = (at: Instant): boolean => gaps.some(({ from_at, to_at }) => from_at < at && at < to_at)
  const ends = lines.flatMap(({ sets, earliest_at }) => sets.flatMap(endsOf).filter((at) => at >= earliest_at))
  const reached = [...new Set(ends)].filter((at) => !isLost(at)).toSorted()
  return {
    latest: latest.at(-1)!,
    counted: reached,
    at(instant) {
      try {
        return pointOf(planChanges(facts, { source, target: { kind: 'time', at: instant }, backup_id: null }))
      } catch (error) {
        if (error instanceof SalvorError && error.code === 'TARGET_OUTSIDE_WINDOW') return null
        throw error
      }
    },
    // Within a set there is nothing to look at.
    between(before, after) {
      const inside = reached.filter((at) => before < at && at < after)
      return inside[inside.length >> 1] ?? null
    },
  }
}

/** Where nothing was committed for a while, the state before a set is known for its beginning, too. */
function endsOf({ stands_on, from_at, to_at }: StoredChangeSet): Instant[] {
  return stands_on === 'previous' ? [from_at, to_at] : [to_at]
}

function pointOf(plan: ChangesPlan): AskedPoint {
  const { backup_id, recovers_to: at } = plan
  return plan.sets.length === 0 ? { at, backup_id } : { at, backup_id, changes: changesInput(plan) }
}
