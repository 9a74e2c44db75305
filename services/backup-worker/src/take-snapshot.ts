import type { CopyAddress, TaskTable } from '@salvor/shared/ports/tasks'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { BackupType, RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { underFreshName } from './fresh-name.ts'

export interface SnapshotWish {
  readonly type: BackupType
  readonly retention_class: RetentionClass
  readonly store: string
  readonly offline_target: string | null
  /** Of an incremental: what it stands on, the full first. */
  readonly chain?: readonly CopyAddress[]
  readonly skip_unchanged?: boolean
}

/** Takes one snapshot under a fresh name, in a process of its own. Null: skipped, nothing had changed. */
export async function takeSnapshot(
  deps: Deps,
  source: SourceSettings,
  wish: SnapshotWish,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<TaskTable['snapshot']['output']> {
  return await underFreshName(deps, source, wish, (name) =>
    deps.tasks.run(
      'snapshot',
      { source: source.name, chain: [], skip_unchanged: false, ...wish, ...name },
      progress,
      signal,
    ),
  )
}

/** A full, in the words of `takeIncremental`: it stands on nothing. */
export async function takeFull(
  ...given: Parameters<typeof takeSnapshot>
): Promise<{ output: TaskTable['snapshot']['output']; below: readonly []; full_because?: string }> {
  return { output: await takeSnapshot(...given), below: [] }
}
