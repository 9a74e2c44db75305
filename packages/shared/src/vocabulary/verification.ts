import type { Instant } from './instant.ts'
import type { Lsn } from './lsn.ts'

/** checksum: stored bytes are those of the manifest · decode: every frame and side object opens · restore: the real engine accepts it. */
export const VERIFICATION_LEVELS = ['checksum', 'decode', 'restore'] as const
export type VerificationLevel = (typeof VERIFICATION_LEVELS)[number]

/** One thing that was looked at. `detail` holds numbers and names, never rows of a source. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
  readonly duration_ms: number
}

export interface Verification {
  readonly id: string
  readonly backup_id: string
  readonly store: string
  readonly level: VerificationLevel
  readonly ok: boolean
  readonly checks: readonly Check[]
  readonly started_at: Instant
  readonly duration_ms: number
}

/** A recovery in the sandbox: how it is known that what is stored beside backups brings an instant back. */
export interface RecoveryProof {
  readonly id: string
  readonly source: string
  /** Where it began. */
  readonly backup_id: string
  /** The instant that was asked for. */
  readonly target_at: Instant
  readonly ok: boolean
  /** The last commit that was replayed, and the last record; null: it did not come so far, or replayed none. */
  readonly recovered_to: Instant | null
  readonly lsn: Lsn | null
  /** Of the WAL that was replayed; null: change sets were laid over it. */
  readonly timeline: number | null
  /** What it was brought back by, or why it was not: numbers and names. */
  readonly detail: string
  readonly started_at: Instant
  readonly duration_ms: number
}

/** Names of checks that the operator wrote begin so; the others are the engine's or the repository's own. */
export const SOURCE_CHECK = 'check: '

/** The same of the commands around a restore in place. */
export const HOOK_CHECK = 'hook '
