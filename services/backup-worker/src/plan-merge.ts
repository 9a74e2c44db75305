import { isFullLength } from '@salvor/policy/chain'
import type { Commit, Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { Backup, BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** Plans the merge of a chain that a new incremental brought to its full length; none while another is on its way. */
export async function planMerge(
  deps: Deps,
  source: SourceSettings,
  below: readonly BackupWithCopies[],
  tip: Backup,
): Promise<Commit> {
  const chain = [...below, { ...tip, copies: [] }]
  const due = source.at_max_chain === 'merge' && tip.parent !== null && isFullLength(chain, source)
  const filter = { jobs: ['merge-chain'], source: source.name, states: ['queued', 'running'], limit: 1 } as const
  if (!due || (await deps.catalog.runs(filter)).length > 0) return async () => {}
  return async (tx) => {
    await tx.enqueue({
      job: 'merge-chain',
      source: source.name,
      pool: source.pool,
      config_hash: source.config_hash,
      unique_key: `merge/${tip.id}`,
      params: { source: source.name, backup_id: tip.id },
    })
  }
}
