import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { newestStateFirst } from './chain.ts'
import { bestCopies } from './copies.ts'

/** An instant whose state can be had, and the backup that holds it. */
export interface RestorePoint {
  readonly at: Instant
  readonly backup_id: string
}

/** Those of a source, the oldest first, each state once: of a chain and the full that was merged from it, the full. */
export function restorePoints(backups: readonly BackupWithCopies[]): readonly RestorePoint[] {
  const readable = backups.filter(({ type, copies }) => type !== 'pre_restore' && bestCopies(copies).length > 0)
  const states = newestStateFirst(readable).filter(
    (backup, i, all) => backup.consistent_at !== all[i - 1]?.consistent_at,
  )
  return states.map(({ id, consistent_at }) => ({ at: consistent_at, backup_id: id })).toReversed()
}

/** The newest that is not after `at`; null: all are. */
export function pointAt(points: readonly RestorePoint[], at: Instant): RestorePoint | null {
  return points.findLast((point) => point.at <= at) ?? null
}
