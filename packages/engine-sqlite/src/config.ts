import { isAbsolute } from 'node:path'
import { z } from 'zod'

export const SqliteConfig = z.strictObject({
  /** Relative paths are made absolute against the configuration file before they come here. */
  path: z.string().min(1).refine(isAbsolute, 'an absolute path of a database file'),
})
export type SqliteConfig = z.infer<typeof SqliteConfig>

/** How much a backup may ask of a source and of the disk. Not in the configuration: DESIGN promises them. */
export interface Limits {
  /** How long a lock that another program holds is waited for. */
  readonly lock_wait_ms: number
  /** The longest the write lock may be held; the process that holds it is killed then, and another route taken. */
  readonly write_lock_ms: number
  /** Tries to find the moment in which the whole write-ahead log lies in the main file. */
  readonly freeze_attempts: number
  readonly freeze_deadline_ms: number
  /** How much a write-ahead log may grow on disk because its frames are held. */
  readonly wal_bytes: number
  /** How fast a copy leaves, where it is to be told beforehand whether the log would outgrow that bound; bytes a second. */
  readonly copy_bytes_s: number
  /** How long the write lock is kept, within `write_lock_ms`, until a follower of the log has moved on. */
  readonly follower_ms: number
  /** Frames of a log that is followed, from which on it is made to begin anew. */
  readonly log_frames: number
  /** Rollback journal: the share of time that comparing everything may take, where changes are followed. */
  readonly scan_share: number
  /** Rollback journal: what is read under one shared lock. */
  readonly slice_bytes: number
  /** Rollback journal: commits between slices, and time, after which all is copied under one lock. */
  readonly slice_restarts: number
  readonly slices_deadline_ms: number
  /** Rollback journal: the longest that a writer may be made to wait. */
  readonly hold_ms: number
  /** How long one check of the configuration may run. */
  readonly check_ms: number
}

export const LIMITS: Limits = {
  lock_wait_ms: 10_000,
  write_lock_ms: 25,
  freeze_attempts: 50,
  freeze_deadline_ms: 5_000,
  wal_bytes: 256_000_000,
  copy_bytes_s: 100_000_000,
  follower_ms: 8,
  log_frames: 1000,
  scan_share: 0.05,
  slice_bytes: 16 * 1024 * 1024,
  slice_restarts: 10,
  slices_deadline_ms: 300_000,
  hold_ms: 10_000,
  check_ms: 600_000,
}
