import { planRecovery } from '@salvor/policy/recovery-plan'
import { gatherRecoveryFacts, recoveryInput } from '@salvor/runtime/recovery-facts'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { RecoveryInput } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** What to fetch so that a backup can be recovered to a target. TARGET_OUTSIDE_WINDOW. */
export async function recoveryTo(
  deps: Deps,
  { source, id: backup_id }: BackupWithCopies,
  { target, timeline, pause }: NonNullable<JobRun<'restore-backup'>['params']['recovery']>,
  store: string | null,
  signal: AbortSignal,
): Promise<RecoveryInput> {
  const facts = await gatherRecoveryFacts(deps, source, store, signal)
  return recoveryInput(planRecovery(facts, { source, target, timeline, backup_id }), facts, pause)
}
