import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { epochMicros, instantOf, shifted } from '@salvor/shared/vocabulary/instant'
import { planRecovery, type RecoveryPlan } from './recovery-plan.ts'
import { recoveryWindow } from './recovery-window.ts'
import type { RecoveryBase, RecoveryFacts } from './wal-line.ts'

/**
 * The backup before this one on its line, on which recoveries to the time between the two begin; this one where it is the first.
 * Null: it is not the newest, or nothing can be replayed on it.
 */
export function provingBase({ bases }: Pick<RecoveryFacts, 'bases'>, backup_id: string): RecoveryBase | null {
  const own = bases.find((base) => base.backup_id === backup_id)
  if (!own) return null
  const beside = bases.filter((base) => base.system_id === own.system_id && base !== own)
  if (beside.some((base) => compare(base, own) > 0)) return null
  return beside.toSorted(compare).at(-1) ?? own
}

/** The recovery that proves the WAL up to now: from the backup before, over everything that is stored behind it. Null: there is none. */
export function recoveryToProve(facts: RecoveryFacts, source: string, backup_id: string): RecoveryPlan | null {
  const base = provingBase(facts, backup_id)
  if (!base) return null
  for (const from of new Set([base.backup_id, backup_id])) {
    try {
      const plan = planRecovery(facts, { source, target: { kind: 'latest' }, timeline: null, backup_id: from })
      if (plan.pieces.length > 0) return plan
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'TARGET_OUTSIDE_WINDOW') throw error
    }
  }
  return null
}

const LOOKED_BACK_MS = 86_400_000

/**
 * A recovery to an instant of the last day that the stored WAL reaches, as a person would ask for it: from the backup that such a restore takes, stopped between
 * two commits. `chance` (0 to 1) says which. Null: no WAL is stored behind a backup.
 */
export function recoveryWithin(facts: RecoveryFacts, source: string, chance: number): RecoveryPlan | null {
  const newest = recoveryWindow(facts)
    .toSorted((a, b) => (a.latest_at < b.latest_at ? -1 : 1))
    .at(-1)
  if (!newest || newest.latest_at === newest.earliest_at) return null
  const to = epochMicros(newest.latest_at)
  const back = epochMicros(shifted(newest.latest_at, -LOOKED_BACK_MS))
  const earliest = epochMicros(newest.earliest_at)
  const from = back > earliest ? back : earliest
  const at = instantOf(from + BigInt(Math.floor(Number(to - from) * chance)))
  const plan = planRecovery(facts, { source, target: { kind: 'time', at }, timeline: newest.timeline, backup_id: null })
  return plan.pieces.length === 0 ? null : plan
}

function compare(a: RecoveryBase, b: RecoveryBase): number {
  if (a.timeline !== b.timeline) return a.timeline - b.timeline
  const [x, y] = [lsnValue(a.stop_lsn), lsnValue(b.stop_lsn)]
  return x < y ? -1 : x > y ? 1 : 0
}
