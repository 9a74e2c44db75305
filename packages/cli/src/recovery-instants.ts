import { planRecovery } from '@salvor/policy/recovery-plan'
import { recoveryWindow } from '@salvor/policy/recovery-window'
import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { gatherRecoveryFacts, recoveryInput } from '@salvor/runtime/recovery-facts'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { elapsedMs, shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import type { Change, Look } from './bisect.ts'

/** The instants between backups that replaying WAL reaches. */
export interface RecoveryInstants {
  readonly latest: Instant
  /** Null: no WAL reaches it. */
  at(instant: Instant): AskedPoint | null
}

/** Null: no WAL of the source is stored. */
export async function recoveryInstants(
  { deps }: Runtime,
  source: string,
  store: string | null,
  signal: AbortSignal,
): Promise<RecoveryInstants | null> {
  const first = await deps.catalog.wal({ source })[Symbol.asyncIterator]().next()
  if (first.done) return null
  const facts = await gatherRecoveryFacts(deps, source, store, signal)
  const ends = recoveryWindow(facts).map(({ latest_at }) => latest_at)
  if (ends.length === 0) return null
  return {
    latest: ends.reduce((a, b) => (a > b ? a : b)),
    at(instant) {
      try {
        const target = { kind: 'time', at: instant } as const
        const plan = planRecovery(facts, { source, target, timeline: null, backup_id: null })
        return { at: instant, backup_id: plan.backup_id, recovery: recoveryInput(plan, facts, false) }
      } catch (error) {
        if (error instanceof SalvorError && error.code === 'TARGET_OUTSIDE_WINDOW') return null
        throw error
      }
    },
  }
}

/** Halves the time between the two sights of a change until they are no more than so many milliseconds apart, or WAL is missing in between. */
export async function refine<A>(
  change: Change<AskedPoint, A>,
  instants: RecoveryInstants,
  look: Look<AskedPoint, A>,
  resolutionMs: number,
): Promise<{ readonly change: Change<AskedPoint, A>; readonly looked_at: number }> {
  let { before, after } = change
  let looked = 0
  for (;;) {
    const apart = elapsedMs(before.point.at, after.point.at)
    if (apart <= Math.max(1, resolutionMs)) break
    const point = instants.at(shifted(before.point.at, apart / 2))
    const seen = point && (await look(point))
    if (!seen) break
    looked += 1
    if (seen.digest === before.digest) before = seen
    else after = seen
  }
  return { change: { before, after }, looked_at: looked }
}
