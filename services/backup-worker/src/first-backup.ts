import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { Commit } from '@salvor/shared/ports/service'

/**
 * A source without a full gets one at once, not at its next tick. Null: it has one, or one is on its way. Two workers that
 * ask at the same time plan one run: the key names the run before it. (A count would give a key again when old runs are pruned.)
 */
export async function planFirstBackup(deps: Deps, source: SourceSettings): Promise<Commit | null> {
  const runs = { jobs: ['take-backup'], source: source.name, limit: 1 } as const
  const [backups, under_way, [before]] = await Promise.all([
    deps.catalog.backups({ source: source.name, limit: 1 }),
    deps.catalog.runs({ ...runs, states: ['queued', 'running'] }),
    deps.catalog.runs(runs),
  ])
  if (backups.length > 0 || under_way.length > 0) return null
  return async (tx) => {
    await tx.enqueue({
      job: 'take-backup',
      source: source.name,
      pool: source.pool,
      config_hash: source.config_hash,
      unique_key: `first/${source.name}/${before?.id ?? 'none'}`,
      params: { source: source.name, type: 'full', retention_class: 'full', trigger: 'first', scheduled_for: null },
    })
  }
}
