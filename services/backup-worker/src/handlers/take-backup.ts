import type { JobHandler } from '@salvor/shared/ports/service'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { claimSource } from '../claim-source.ts'
import { knownState, markState } from '../known-state.ts'
import { planMerge } from '../plan-merge.ts'
import { recordBackup } from '../record-backup.ts'
import { takeIncremental } from '../take-incremental.ts'
import { takeFull } from '../take-snapshot.ts'
import { wantedBackup } from '../wanted-backup.ts'

/** A busy source is asked again after this long. */
const BUSY_WAIT_MS = 2000
const UNCHANGED = 'nothing changed since the last backup'

/** Takes one backup of a source into the first store of its rule. The replicator makes the other copies. */
export const takeBackup: JobHandler<'take-backup'> = {
  async handle(run, deps, signal, progress) {
    const { type, retention_class } = run.params
    const { source, store } = wantedBackup(run.params, deps)
    const skip_unchanged = run.params.trigger === 'schedule'
    // A mark is for the scheduled incrementals that come.
    const isMarked = skip_unchanged || source.schedule.incremental !== undefined
    const [state_mark, known] = await Promise.all([
      isMarked ? markState(deps, source) : null,
      skip_unchanged && type === 'incremental' ? knownState(deps, source) : null,
    ])
    if (known !== null && state_mark !== null && known.marks.has(state_mark)) {
      return { result: { skipped: UNCHANGED, backup_id: known.backup_id, state_mark } }
    }
    await using mine = await deps.lease(`source:${source.name}`)
    if (mine === null) return { again: shifted(await deps.catalog.now(), BUSY_WAIT_MS) }
    await claimSource(deps, source.name, store, signal)
    const cause = { service: 'backup-worker', correlation_id: run.correlation_id, causation_id: run.id } as const
    const started = { source: source.name, run_id: run.id, type, retention_class }
    await deps.catalog.transaction(cause, (tx) =>
      tx.publish({ type: 'backup.started', subject: source.name, data: started }),
    )
    const wish = { type, retention_class, store, offline_target: null, skip_unchanged }
    const take = type === 'incremental' ? takeIncremental : takeFull
    const { output, ...how } = await take(deps, source, wish, progress, signal)
    if (!output) return { result: { skipped: UNCHANGED, backup_id: how.below.at(-1)?.id, state_mark } }
    const { backup, notices } = output
    const merge = await planMerge(deps, source, how.below, backup)
    return {
      result: { backup_id: backup.id, state_mark, notices, full_because: how.full_because ?? null },
      commit: async (tx) => {
        await recordBackup(tx, source, backup, store, run.id, how)
        await merge(tx)
      },
    }
  },
  failed(run, error, final) {
    const { source, type } = run.params
    const data = { source, run_id: run.id, type, failures: run.failures + 1, final, error }
    return async (tx) => {
      await tx.publish({ type: 'backup.failed', subject: source, data })
      await tx.audit({ actor: 'backup-worker', action: `backup.${type}`, object: run.id, outcome: error.code })
    }
  },
}
