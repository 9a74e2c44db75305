import { planRecovery } from '@salvor/policy/recovery-plan'
import { recoveryWindow } from '@salvor/policy/recovery-window'
import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { type ChangeRange, hasChangeSets } from '@salvor/runtime/change-facts'
import { gatherRecoveryFacts, recoveryInput } from '@salvor/runtime/recovery-facts'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { elapsedMs, shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import { changeInstants } from './change-instants.ts'

/** The instants between backups that replaying WAL, or change sets, reach. */
export interface RecoveryInstants {
  readonly latest: Instant
  /** All there are, in the order of time; null: any instant can be had. */
  readonly counted: readonly Instant[] | null
  /** Null: what is stored does not reach it. */
  at(instant: Instant): AskedPoint | null
  /** Where to look next between two sights; null: they are near enough. `resolutionMs`: where instants are not counted, how near. */
  between(before: Instant, after: Instant, resolutionMs: number): Instant | null
}

/** `span`: no others are asked for. Null: neither WAL nor change sets of the source are stored. */
export async function recoveryInstants(
  runtime: Runtime,
  source: string,
  store: string | null,
  signal: AbortSignal,
  span: ChangeRange = {},
): Promise<RecoveryInstants | null> {
  const { deps } = runtime
  if (await hasChangeSets(deps, source)) return changeInstants(runtime, source, store, span)
  const first = await deps.catalog.wal({ source })[Symbol.asyncIterator]().next()
  if (first.done) return null
  const facts = await gatherRecoveryFacts(deps, source, store, signal)
  const ends = recoveryWindow(facts).map(({ latest_at }) => latest_at)
  if (ends.length === 0) return null
  return {
    latest: ends.reduce((a, b) => (a > b ? a : b)),
    counted: null,
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
    between(before, after, resolutionMs) {
      const apart = elapsedMs(before, after)
      return apart <= Math.max(1, resolutionMs) ? null : shifted(before, apart / 2)
    },
  }
}
