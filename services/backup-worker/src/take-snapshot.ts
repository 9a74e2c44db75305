import { retentionUntil } from '@salvor/policy/retention'
import { stemOf } from '@salvor/repository/layout'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { CopyAddress, TaskTable } from '@salvor/shared/ports/tasks'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { BackupType, RetentionClass } from '@salvor/shared/vocabulary/backup'
import { shifted } from '@salvor/shared/vocabulary/instant'
import type { RunProgress } from '@salvor/shared/vocabulary/run'

/** Names are to the second; an attempt that finds its name taken moves on by one. */
const NAMES_TRIED = 10

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
  const began = deps.clock.now()
  for (let turn = 0; ; turn += 1) {
    const timestamp = shifted(began, turn * 1000)
    const retention_until = retentionUntil(source.retention, wish.retention_class, timestamp)
    const names = { timestamp, filename_stem: stemOf(wish.type, timestamp), retention_until }
    try {
      return await deps.tasks.run(
        'snapshot',
        { backup_id: deps.ids.next(), source: source.name, chain: [], skip_unchanged: false, ...wish, ...names },
        progress,
        signal,
      )
    } catch (error) {
      const taken = error instanceof SalvorError && error.code === 'STORE_CONFLICT'
      if (!taken || turn + 1 === NAMES_TRIED) throw error
    }
  }
}

/** A full, in the words of `takeIncremental`: it stands on nothing. */
export async function takeFull(
  ...given: Parameters<typeof takeSnapshot>
): Promise<{ output: TaskTable['snapshot']['output']; below: readonly []; full_because?: string }> {
  return { output: await takeSnapshot(...given), below: [] }
}
