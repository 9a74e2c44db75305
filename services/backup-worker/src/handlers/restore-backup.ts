import { chainAddresses } from '@salvor/runtime/chain-addresses'
import type { JobHandler } from '@salvor/shared/ports/service'
import { assertDatabases } from '../assert-databases.ts'
import { betweenHooks } from '../between-hooks.ts'
import { keepQuiet } from '../changes/quiet.ts'
import { recoveryTo } from '../recovery-to.ts'
import { saveFirst } from '../save-first.ts'

/** Restores a backup to a place on this machine; in place only after a backup of what is there. */
export const restoreBackup: JobHandler<'restore-backup'> = {
  async handle(run, deps, signal, progress) {
    const { backup_id, target, in_place, delta, tablespaces, parts, recovery: wanted, start } = run.params
    const backup = await deps.catalog.backup(backup_id)
    const chain = chainAddresses(await deps.catalog.chain(backup.id), run.params.store)
    const began = deps.clock.monotonicMs()
    const beyond = wanted ? await recoveryTo(deps, backup, wanted, run.params.store, signal) : {}
    // Before the application is stopped and what is there is copied.
    if (in_place) await assertDatabases(deps, { source: backup.source, chain }, parts?.databases ?? [], signal)
    await using _quiet = in_place ? await keepQuiet(deps, backup.source, signal) : null
    const input = { source: backup.source, chain, target, in_place, delta, tablespaces, parts, ...beyond, start }
    const restore = async () => {
      const saved = in_place ? await saveFirst(run, deps, backup.source, target, signal) : []
      const restored = await deps.tasks.run('restore', input, progress, signal)
      return { ...restored, checks: [...saved, ...restored.checks] }
    }
    const about = { source: backup.source, backup_id, target }
    const { result, checks: hooks } = in_place
      ? await betweenHooks(deps, about, signal, restore)
      : { result: await restore(), checks: [] }
    const { recovered_to, reached } = result
    const checks = [...result.checks, ...hooks]
    const duration_ms = Math.round(deps.clock.monotonicMs() - began)
    const data = { source: backup.source, backup_id: backup.id, target, recovered_to, duration_ms }
    return {
      result: { store: chain.at(-1)?.store, recovered_to, checks, reached, duration_ms },
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
