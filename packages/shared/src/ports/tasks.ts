import type { RestoredAnswer } from './reading.ts'
import type { Backup, BackupType, RetentionClass } from '../vocabulary/backup.ts'
import type { ChangeSetFile, CompactedPiece } from '../vocabulary/change-set.ts'
import type { Instant } from '../vocabulary/instant.ts'
import type { Lsn } from '../vocabulary/lsn.ts'
import type { RecoveryReached, RecoveryTarget } from '../vocabulary/recovery.ts'
import type { RestoreParts, RestoreRequest } from './engine.ts'
import type { BackupEntry, ExportedFile, ExportFormat } from './reading.ts'
import type { Failure, RunProgress } from '../vocabulary/run.ts'
import type { Check } from '../vocabulary/verification.ts'

/** A recovery to a point in time: what to fetch, and how far to replay it. */
export interface RecoveryInput {
  readonly target: RecoveryTarget
  readonly timeline: number
  readonly pause: boolean
  readonly recovers_to: Instant
  /** See `RecoveryRequest`. */
  readonly last_commit_lsn: Lsn | null
  readonly wal: readonly {
    readonly store: string
    readonly name: string
    readonly document_sha256: string
    readonly start_lsn: Lsn | null
    readonly segment_size: number | null
  }[]
}

/** A piece of WAL that is not in a store as the catalog says. */
export interface WalFault {
  readonly name: string
  readonly missing: boolean
  readonly reason: string
}

/** A change set that is not in a store as the catalog says: the `n`-th that was asked for, from 0. */
export interface ChangeSetFault {
  readonly n: number
  readonly missing: boolean
  readonly reason: string
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

/** One change set that is to be made of others. */
export interface CompactionInput {
  /** Oldest first. */
  readonly sets: ChangesInput['sets']
  readonly piece: Omit<CompactedPiece, 'page_count' | 'pages'>
  /** Of the last of them. */
  readonly page_count: number
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
  /** Makes change sets of others and writes them into `store`. One that fails by what its sets hold holds up no other. */
  compact: {
    input: { readonly source: string; readonly store: string; readonly compactions: readonly CompactionInput[] }
    /** In the order of the input. */
    output: { readonly made: readonly (ChangeSetFile | Failure)[] }
  }
  /** Compares stored bytes with the manifest (checksum), or decodes every frame and side object (decode). */
  inspect: {
    input: CopyAddress & { readonly level: 'checksum' | 'decode' }
    output: { readonly checks: readonly Check[] }
  }
  /** Looks whether pieces of WAL are in a store, and decodes the ones of which that is asked. Faults are those of pieces alone. */
  'inspect-wal': {
    input: {
      readonly source: string
      readonly store: string
      readonly pieces: readonly { readonly name: string; readonly document_sha256: string; readonly decode: boolean }[]
    }
    output: { readonly decoded: number; readonly faults: readonly WalFault[] }
  }
  /** The same of change sets. */
  'inspect-changes': {
    input: {
      readonly source: string
      readonly store: string
      readonly sets: readonly {
        readonly base: string
        readonly name: string
        readonly document_sha256: string
        readonly decode: boolean
      }[]
    }
    output: { readonly decoded: number; readonly faults: readonly ChangeSetFault[] }
  }
  /** Restores the last of a chain into a sandbox, opens it with the real engine, runs the checks, removes it. */
  prove: {
    input: {
      readonly source: string
      readonly chain: readonly CopyAddress[]
      /** WAL is replayed on it, to a target, before it is opened. */
      readonly recovery?: RecoveryInput | undefined
      /** They are laid over it. */
      readonly changes?: ChangesInput | undefined
    }
    output: {
      readonly checks: readonly Check[]
      readonly restore_ms: number
      readonly reached: RecoveryReached | null
    }
  }
  /** Restores the last of a chain into a sandbox, replays WAL on it, and asks it. What it answers is in the output and nowhere else. */
  ask: {
    input: {
      readonly source: string
      readonly chain: readonly CopyAddress[]
      readonly sql: string
      readonly recovery?: RecoveryInput | undefined
    }
    output: { readonly results: readonly RestoredAnswer[] }
  }
  /** One command of a source's `hooks`; nothing where the source has none. HOOK_FAILED. */
  hook: {
    input: {
      readonly source: string
      readonly which: 'before' | 'after'
      /** `SALVOR_…`: what it is about. */
      readonly env: Readonly<Record<string, string>>
    }
    output: { readonly duration_ms: number }
  }
  /** What is in a backup, without restoring it; `database` null: its databases. */
  contents: {
    input: { readonly source: string; readonly chain: readonly CopyAddress[]; readonly database: string | null }
    output: { readonly entries: readonly BackupEntry[] }
  }
  /** Restores the last of a chain into a sandbox, and writes what is in it as files for other programs into a new folder. */
  export: {
    input: {
      readonly source: string
      readonly chain: readonly CopyAddress[]
      readonly target: string
      readonly format: ExportFormat
      readonly parts?: RestoreParts | undefined
    }
    output: { readonly files: readonly ExportedFile[]; readonly recovered_to: string }
  }
  restore: {
    input: {
      readonly source: string
      readonly chain: readonly CopyAddress[]
      readonly target: string
      readonly in_place: boolean
      readonly delta?: RestoreRequest['delta']
      readonly recovery?: RecoveryInput | undefined
      /** A server is run on it to the target, and stopped. */
      readonly start?: boolean | undefined
      readonly changes?: ChangesInput | undefined
      /** New places by former ones. */
      readonly tablespaces?: Readonly<Record<string, string>> | undefined
      readonly parts?: RestoreParts | undefined
    }
    output: {
      readonly recovered_to: string
      readonly checks: readonly Check[]
      /** Null: no server was started. */
      readonly reached: RecoveryReached | null
    }
  }
}
