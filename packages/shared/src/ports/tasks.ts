import type { Backup, BackupType, RetentionClass } from '../vocabulary/backup.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { Lsn } from '../vocabulary/lsn.ts'
import type { RecoveryTarget } from '../vocabulary/recovery.ts'
import type { RunProgress } from '../vocabulary/run.ts'
import type { Check } from '../vocabulary/verification.ts'

/** A recovery to a point in time: what to fetch, and how far to replay it. */
export interface RecoveryInput {
  readonly target: RecoveryTarget
  readonly timeline: number
  readonly pause: boolean
  readonly recovers_to: Instant
  readonly wal: readonly {
    readonly store: string
    readonly name: string
    readonly document_sha256: string
    readonly start_lsn: Lsn | null
    readonly segment_size: number | null
  }[]
}

/** Change sets to lay over a backup, oldest first. */
export interface ChangesInput {
  readonly recovers_to: Instant
  readonly sets: readonly {
    readonly store: string
    readonly base: string
    readonly name: string
    readonly document_sha256: string
    readonly to_at: Instant
    readonly state_sha256: string | null
  }[]
}

/** Heavy halves of jobs. Each runs in a child process of its own, so that the service's event loop stays free and a crash is one run's. */
export interface Tasks {
  run<K extends keyof TaskTable>(
    task: K,
    input: TaskTable[K]['input'],
    onProgress: (progress: RunProgress) => void,
    signal: AbortSignal,
  ): Promise<TaskTable[K]['output']>
}

/** A copy of one backup: which manifest in which store. */
export interface CopyAddress {
  readonly backup_id: string
  readonly filename: string
  readonly store: string
  readonly manifest_key: string
  /** From the catalog; null where there is none. */
  readonly manifest_sha256: string | null
}

export interface TaskTable {
  /** Takes a snapshot of a source (or of a stopped target) and writes artifact, side objects and manifest into `store`. */
  snapshot: {
    input: {
      readonly backup_id: string
      readonly source: string
      readonly store: string
      readonly type: BackupType
      readonly retention_class: RetentionClass
      readonly retention_until: string | null
      readonly timestamp: string
      readonly filename_stem: string
      /** Of an incremental: the backups it stands on, the full first, its parent last; each from a store that has it. */
      readonly chain: readonly CopyAddress[]
      /** Nothing is stored when nothing changed. Incrementals only. */
      readonly skip_unchanged: boolean
      /** Set for a pre_restore backup: the place that is about to be overwritten. */
      readonly offline_target: string | null
    }
    /** Null: skipped, nothing had changed. */
    output: { readonly backup: Backup; readonly notices: readonly string[] } | null
  }
  /** Puts a chain together as a full, from its artifacts alone, and writes it into `store` as `snapshot` writes one. */
  merge: {
    input: {
      readonly backup_id: string
      readonly source: string
      readonly store: string
      readonly type: 'full'
      readonly retention_class: RetentionClass
      readonly retention_until: string | null
      readonly timestamp: string
      readonly filename_stem: string
      /** The full first; at least one incremental. */
      readonly chain: readonly CopyAddress[]
    }
    output: { readonly backup: Backup; readonly notices: readonly string[] }
  }
  /** Compares stored bytes with the manifest (checksum), or decodes every frame and side object (decode). */
  inspect: {
    input: CopyAddress & { readonly level: 'checksum' | 'decode' }
    output: { readonly checks: readonly Check[] }
  }
  /** Restores the last of a chain into a sandbox, opens it with the real engine, runs the checks, removes it. */
  prove: {
    input: {
      readonly source: string
      readonly chain: readonly CopyAddress[]
    }
    output: { readonly checks: readonly Check[]; readonly restore_ms: number }
  }
  restore: {
    input: {
      readonly source: string
      readonly chain: readonly CopyAddress[]
      readonly target: string
      readonly in_place: boolean
      readonly recovery?: RecoveryInput | undefined
      readonly changes?: ChangesInput | undefined
      /** New places by former ones. */
      readonly tablespaces?: Readonly<Record<string, string>> | undefined
    }
    output: { readonly recovered_to: string; readonly checks: readonly Check[] }
  }
}
