import { JOB_RULES } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Run } from '@salvor/shared/vocabulary/run'
import type { Arrival, Missed } from './replicate.ts'

/**
 * Writes down at once which copies arrived and which did not. Not left to the end of the run: a copy that arrived is true
 * even if this attempt was replaced meanwhile.
 */
export async function recordCopies(
  deps: Deps,
  run: Pick<Run, 'id' | 'correlation_id' | 'failures'>,
  backup: BackupWithCopies,
  arrived: readonly Arrival[],
  missed: readonly Missed[],
): Promise<void> {
  if (arrived.length + missed.length === 0) return
  const cause = { service: 'replicator', correlation_id: run.correlation_id, causation_id: run.id } as const
  const { id: backup_id, source, size_bytes } = backup
  const failures = run.failures + 1
  await deps.catalog.transaction(cause, async (tx) => {
    for (const { store, duration_ms } of arrived) {
      const key = `${source}/${backup.filename}`
      await tx.recordCopy({ backup_id, store, state: 'completed', key, stored_at: tx.now, upload: null })
      await tx.publish({
        type: 'copy.replicated',
        subject: backup_id,
        data: { source, backup_id, store, size_bytes, duration_ms },
      })
    }
    for (const { store, error } of missed) {
      const final = !error.retryable || failures >= JOB_RULES['replicate-copy'].max_failures
      const data = { source, backup_id, store, what: 'replicate', failures, final, error: error.toFailure() } as const
      await tx.publish({ type: 'copy.failed', subject: backup_id, data })
    }
  })
}
