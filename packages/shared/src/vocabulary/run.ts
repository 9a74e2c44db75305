import type { Instant } from './instant.ts'

/**
 * queued → running → succeeded | failed | dead, or back to queued for a retry or a wait.
 * failed: will not get better by itself · dead: retries used up, waits for `salvor queue replay`.
 */
export const RUN_STATES = ['queued', 'running', 'succeeded', 'failed', 'dead'] as const
export type RunState = (typeof RUN_STATES)[number]

/** What a failure says to a person and to the retry policy. No secrets, no rows. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly retryable: boolean
}

export interface RunProgress {
  readonly phase: string
  readonly done_bytes: number
  readonly total_bytes: number | null
}

/** One attempt after another at one piece of work. `attempt` is the fencing token: compared at commit. */
export interface Run {
  readonly id: string
  readonly job: string
  /** What the run is about, for lists and filters: a source name, or null. */
  readonly source: string | null
  /** Parameters of the job; parsed by the job's own schema. */
  readonly params: unknown
  readonly state: RunState
  readonly attempt: number
  /** Failed attempts so far; a postponed attempt does not count. */
  readonly failures: number
  readonly pool: string | null
  readonly config_hash: string | null
  readonly not_before: Instant
  readonly created_at: Instant
  readonly started_at: Instant | null
  readonly finished_at: Instant | null
  readonly lease_owner: string | null
  readonly lease_until: Instant | null
  readonly progress: RunProgress | null
  readonly error: Failure | null
  readonly result: unknown
  readonly correlation_id: string
  readonly causation_id: string | null
}
