import { chainAddresses } from '@salvor/runtime/chain-addresses'
import type { JobHandler } from '@salvor/shared/ports/service'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { claimSource } from '../claim-source.ts'
import { underFreshName } from '../fresh-name.ts'
import { fullOf } from '../full-of.ts'
import { recordBackup } from '../record-backup.ts'
import { wantedBackup } from '../wanted-backup.ts'

const BUSY_WAIT_MS = 5000
const FULL = { type: 'full', retention_class: 'full' } as const

/** Puts a chain together as a full in the repository. Its lease is not the source's: backups go on meanwhile. */
export const mergeChain: JobHandler<'merge-chain'> = {
  async handle(run, deps, signal, progress) {
    const { source, store } = wantedBackup({ ...run.params, ...FULL }, deps)
    await using mine = await deps.lease(`merge:${source.name}`)
    if (mine === null) return { again: shifted(await deps.catalog.now(), BUSY_WAIT_MS) }
    const backups = await deps.catalog.chain(run.params.backup_id)
    const done = await fullOf(deps, backups.at(-1)!)
    if (done) return { result: { skipped: `${done.filename} is a full of that state` } }
    await claimSource(deps, source.name, store, signal)
    const cause = { service: 'backup-worker', correlation_id: run.correlation_id, causation_id: run.id } as const
    const started = { source: source.name, run_id: run.id, ...FULL }
    await deps.catalog.transaction(cause, (tx) =>
      tx.publish({ type: 'backup.started', subject: source.name, data: started }),
    )
    const input = { source: source.name, store, ...FULL, chain: chainAddresses(backups, null) }
    const { backup, notices } = await underFreshName(deps, source, FULL, (name) =>
      deps.tasks.run('merge', { ...input, ...name }, progress, signal),
    )
    return {
      result: { backup_id: backup.id, notices },
      commit: (tx) => recordBackup(tx, source, backup, store, run.id, { merged: backups.length }),
    }
  },
  failed(run, error, final) {
    const { source, backup_id } = run.params
    const data = {
      source,
      run_id: run.id,
      type: 'full',
      failures: run.failures + 1,
      final,
      error,
      merge: true,
    } as const
    return async (tx) => {
      await tx.publish({ type: 'backup.failed', subject: source, data })
      await tx.audit({ actor: 'backup-worker', action: 'backup.merge', object: backup_id, outcome: error.code })
    }
  },
}
