import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { findParent } from './find-parent.ts'
import { takeSnapshot, type SnapshotWish } from './take-snapshot.ts'

export interface Taken {
  /** Null: skipped, nothing had changed. */
  readonly output: TaskTable['snapshot']['output']
  /** What the backup stands on, the full first; empty for a full. */
  readonly below: readonly BackupWithCopies[]
  /** Why a full was taken in its place. */
  readonly full_because?: string
}

/** Takes an incremental on the newest backup that can carry one, or a full where none can: with the reason. */
export async function takeIncremental(
  deps: Deps,
  source: SourceSettings,
  wish: SnapshotWish,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Taken> {
  const parent = await findParent(deps, source)
  let reason = 'reason' in parent ? parent.reason : ''
  if ('below' in parent) {
    const { below } = parent
    try {
      const chain = chainAddresses(below, null)
      return { output: await takeSnapshot(deps, source, { ...wish, chain }, progress, signal), below }
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'FULL_NEEDED') throw error
      reason = error.facts['reason'] ?? error.message
    }
  }
  deps.log.info({ source: source.name, reason }, 'a full is taken in place of an incremental')
  const full = { ...wish, type: 'full', retention_class: 'full', skip_unchanged: false } as const
  return { output: await takeSnapshot(deps, source, full, progress, signal), below: [], full_because: reason }
}
