import { firstStoreFor } from '@salvor/policy/copies'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import type { JobRun } from '@salvor/shared/messages/jobs'
import { recordBackup } from '../record-backup.ts'
import { takeSnapshot } from '../take-snapshot.ts'

/** Restores a backup to a place on this machine; in place only after a backup of what is there. */
export const restoreBackup: JobHandler<'restore-backup'> = {
  async handle(run, deps, signal, progress) {
    const { backup_id, target, in_place, tablespaces } = run.params
    const backup = await deps.catalog.backup(backup_id)
    const chain = chainAddresses(await deps.catalog.chain(backup.id), run.params.store)
    const began = deps.clock.monotonicMs()
    if (in_place) await saveFirst(run, deps, backup.source, target, signal)
    const input = { source: backup.source, chain, target, in_place, tablespaces }
    const { recovered_to, checks } = await deps.tasks.run('restore', input, progress, signal)
    const duration_ms = Math.round(deps.clock.monotonicMs() - began)
    const data = { source: backup.source, backup_id: backup.id, target, recovered_to, duration_ms }
    return {
      result: { store: chain.at(-1)?.store, recovered_to, checks, duration_ms },
      commit: async (tx) => {
        await tx.publish({ type: 'restore.completed', subject: backup.source, data })
        await tx.audit({ actor: 'backup-worker', action: 'restore', object: backup.id, outcome: target })
      },
    }
  },
  failed(run, error) {
    const { backup_id, target } = run.params
    const data = { source: run.source ?? '', backup_id, target, error }
    return async (tx) => {
      await tx.publish({ type: 'restore.failed', subject: run.source ?? backup_id, data })
      await tx.audit({ actor: 'backup-worker', action: 'restore', object: backup_id, outcome: error.code })
    }
  },
}

/** The pre_restore backup: in the catalog before a byte of the target changes. */
async function saveFirst(
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
