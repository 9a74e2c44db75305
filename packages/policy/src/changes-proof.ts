import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { type ChangeBase, type ChangeFacts, changeLines } from './change-line.ts'
import { type ChangesPlan, planChanges } from './changes-plan.ts'

/**
 * The backup before this one, on which restores to the time between the two begin; this one where it is the first. Null: it is not the newest, or cannot
 * be read.
 */
export function provingChangeBase({ bases }: Pick<ChangeFacts, 'bases'>, backup_id: string): ChangeBase | null {
  const byDate = bases.toSorted((a, b) => (a.consistent_at < b.consistent_at ? -1 : 1))
  if (byDate.at(-1)?.backup_id !== backup_id) return null
  return byDate.at(-2) ?? byDate.at(-1) ?? null
}

/** The restore that proves the change sets up to now: of the backup before, with all that is stored behind it. Null: there is none. */
export function changesToProve(facts: ChangeFacts, source: string, backup_id: string): ChangesPlan | null {
  const base = provingChangeBase(facts, backup_id)
  if (!base) return null
  for (const from of new Set([base.backup_id, backup_id])) {
    try {
      const plan = planChanges(facts, { source, target: { kind: 'latest' }, backup_id: from })
      if (plan.sets.length > 0) return plan
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'TARGET_OUTSIDE_WINDOW') throw error
    }
  }
  return null
}

/** Whether what the stream stores next comes back: the newest state does, by what is in `facts`. `all`: with what was found to be bad. */
export function isNewestReached(facts: ChangeFacts, all: readonly StoredChangeSet[]): boolean {
  const newest = all.reduce<StoredChangeSet | null>((a, b) => (a && a.to_at >= b.to_at ? a : b), null)
  if (newest === null) return true
  return changeLines(facts).some(({ sets }) => stateOf(sets.at(-1)!) === stateOf(newest))
}
