import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { spanOfName } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { shownTarget } from '@salvor/shared/vocabulary/recovery'
import type { ChangesPlan, ChangesWish } from './changes-plan.ts'

/** A change set that is there and whose document cannot be read: what it holds, only its name tells. */
export interface UnreadSet {
  readonly name: string
  /** In words. */
  readonly reason: string
}

/**
 * Refuses a plan for an instant whose state may lack what an unread set holds: without its document it looks as if nothing had been committed then.
 * `base_at`: state of the backup of the plan. TARGET_OUTSIDE_WINDOW.
 */
export function assertNoneUnread(
  unread: readonly UnreadSet[],
  { source, target }: ChangesWish,
  { sets, recovers_to }: ChangesPlan,
  base_at: Instant,
): void {
  // The newest is what can be read, whatever was behind it.
  if (target.kind !== 'time') return
  const reached = sets.at(-1)?.to_at ?? base_at
  for (const { name, reason } of unread) {
    const { from_at, to_at } = spanOfName(name)
    if (from_at < reached || from_at >= recovers_to) continue
    const why = `the change set of ${from_at} to ${to_at} cannot be read (${reason}); what comes back before it is ${from_at}`
    throw new SalvorError('TARGET_OUTSIDE_WINDOW', { source, target: shownTarget(target), reason: why })
  }
}
