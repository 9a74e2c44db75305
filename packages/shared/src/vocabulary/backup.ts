import type { Instant } from './instant.ts'

export const BACKUP_TYPES = ['full', 'incremental', 'pre_restore'] as const
export type BackupType = (typeof BACKUP_TYPES)[number]

/** The keys of `retention` and `copies` in the configuration. */
export const RETENTION_CLASSES = ['incremental', 'full', 'monthly', 'quarterly', 'yearly', 'pre_restore'] as const
export type RetentionClass = (typeof RETENTION_CLASSES)[number]

/**
 * How good a backup is: the strongest over its good copies, `corrupt` if none is good.
 * completed: durable and read back · verified: every byte decoded · proven: restored and checked by the real engine.
 */
export const BACKUP_STATES = ['completed', 'verified', 'proven', 'corrupt'] as const
export type BackupState = (typeof BACKUP_STATES)[number]

/** pending: wanted, not there yet. The other states are those of a backup, for one place. */
export const COPY_STATES = ['pending', 'completed', 'verified', 'proven', 'corrupt'] as const
export type CopyState = (typeof COPY_STATES)[number]

/** An artifact in a store. `upload` is the store's own resume token while the copy is pending. */
export interface Copy {
  readonly backup_id: string
  readonly store: string
  readonly state: CopyState
  /** Key of the artifact in the store, `<source>/<filename>`. */
  readonly key: string
  readonly stored_at: Instant | null
  readonly upload: string | null
}

/** A backup as the catalog keeps it: it exists from `completed` on. Sizes in bytes. */
export interface Backup {
  readonly id: string
  readonly source: string
  readonly engine: string
  readonly type: BackupType
  readonly retention_class: RetentionClass
  readonly state: BackupState
  readonly filename: string
  /** When the attempt began; also in the file name. */
  readonly timestamp: Instant
  /** The instant whose committed state the backup holds. */
  readonly consistent_at: Instant
  /** Stored bytes of the artifact. */
  readonly size_bytes: number
  /** Bytes of the artifact before compression. */
  readonly source_bytes: number
  /** SHA-256 of the stored bytes, hex. */
  readonly checksum_sha256: string
  readonly source_db: string
  readonly retention_until: Instant | null
  readonly parent: string | null
  readonly duration_ms: number
  readonly encrypted: boolean
  /** SHA-256 of the manifest's bytes, hex: what a store must give back. */
  readonly manifest_sha256: string
}

export interface BackupWithCopies extends Backup {
  readonly copies: readonly Copy[]
}
