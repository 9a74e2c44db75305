import { firstStoreFor } from '@salvor/policy/copies'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobRun } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import { recordBackup } from './record-backup.ts'
import { takeSnapshot } from './take-snapshot.ts'

/** The pre_restore backup: in the catalog before a byte of the target changes. */
export async function saveFirst(
  run: JobRun<'restore-backup'>,
  deps: Deps,
  name: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const source = deps.settings().sources.get(name)
  const store = source ? firstStoreFor(source, 'pre_restore') : null
  if (!source || store === null) throw new SalvorError('SOURCE_UNKNOWN', { source: name })
  const wish = { type: 'pre_restore', retention_class: 'pre_restore', store, offline_target: target } as const
  const taken = await takeSnapshot(deps, source, wish, () => {}, signal)
  if (!taken) throw new SalvorError('INTERNAL', { what: 'a pre_restore backup that was skipped' })
  const { backup } = taken
  const cause = { service: 'backup-worker', correlation_id: run.correlation_id, causation_id: run.id } as const
  await deps.catalog.transaction(cause, (tx) => recordBackup(tx, source, backup, store, run.id))
}
