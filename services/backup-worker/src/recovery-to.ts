import { planRecovery } from '@salvor/policy/recovery-plan'
import { changesInput, hasChangeSets } from '@salvor/runtime/change-facts'
import { planChangesOf } from '@salvor/runtime/plan-changes-of'
import { gatherRecoveryFacts, recoveryInput } from '@salvor/runtime/recovery-facts'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { ChangesInput, RecoveryInput } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** What a restore to a target needs besides the backup. */
export type Beyond = { readonly recovery?: RecoveryInput; readonly changes?: ChangesInput }

/** What to fetch so that a backup can be brought to a target. TARGET_OUTSIDE_WINDOW. */
export async function recoveryTo(
  deps: Deps,
  { source, id: backup_id }: BackupWithCopies,
  { target, timeline, pause }: NonNullable<JobRun<'restore-backup'>['params']['recovery']>,
  store: string | null,
  signal: AbortSignal,
): Promise<Beyond> {
  if (await hasChangeSets(deps, source)) {
    return { changes: changesInput(await planChangesOf(deps, { source, target, backup_id }, store)) }
  }
  const facts = await gatherRecoveryFacts(deps, source, store, signal)
  return { recovery: recoveryInput(planRecovery(facts, { source, target, timeline, backup_id }), facts, pause) }
}
