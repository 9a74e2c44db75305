import { possibleParents, whyNoParent } from '@salvor/policy/chain'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { takeSnapshot, type SnapshotWish } from './take-snapshot.ts'

/** Parents tried before a full is taken: behind a bad one an older one may be good. */
const PARENTS_TRIED = 3
const BACKUPS_LOOKED_AT = 50

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
  let reason = 'the source has no full backup yet'
  const backups = await deps.catalog.backups({ source: source.name, limit: BACKUPS_LOOKED_AT })
  for (const parent of possibleParents(backups).slice(0, PARENTS_TRIED)) {
    const below = await deps.catalog.chain(parent.id)
    const refused = whyNoParent(below, source)
    if (refused !== null) {
      reason = refused
      continue
    }
    try {
      const chain = chainAddresses(below, null)
      return { output: await takeSnapshot(deps, source, { ...wish, chain }, progress, signal), below }
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'FULL_NEEDED') throw error
      reason = error.facts['reason'] ?? error.message
      break
    }
  }
  deps.log.info({ source: source.name, reason }, 'a full is taken in place of an incremental')
  const full = { ...wish, type: 'full', retention_class: 'full', skip_unchanged: false } as const
  return { output: await takeSnapshot(deps, source, full, progress, signal), below: [], full_because: reason }
}
