import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { Commit } from '@salvor/shared/ports/service'

/**
 * A source without a full gets one at once, not at its next tick. Null: it has one, or one is on its way. Two workers that
 * ask at the same time plan one run: the key counts the runs that ended before.
 */
export async function planFirstBackup(deps: Deps, source: SourceSettings): Promise<Commit | null> {
  const [backups, runs] = await Promise.all([
    deps.catalog.backups({ source: source.name, limit: 1 }),
    deps.catalog.runs({ jobs: ['take-backup'], source: source.name, limit: 1000 }),
  ])
  if (backups.length > 0 || runs.some((run) => run.state === 'queued' || run.state === 'running')) return null
  return async (tx) => {
    await tx.enqueue({
      job: 'take-backup',
      source: source.name,
      pool: source.pool,
      config_hash: source.config_hash,
      unique_key: `first/${source.name}/${runs.length}`,
      params: { source: source.name, type: 'full', retention_class: 'full', trigger: 'first', scheduled_for: null },
    })
  }
}
