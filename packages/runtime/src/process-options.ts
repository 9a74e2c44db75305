import type { JobName } from '@salvor/shared/messages/jobs'
import type { ServiceDefinition } from '@salvor/shared/ports/service'

/** Lengths that tests shorten. Milliseconds. */
export interface Timing {
  readonly leaseMs?: number
  readonly pollMs?: number
  readonly overdueMs?: number
  readonly reconcileMs?: number
  readonly sweepMs?: number
  readonly staleMs?: number
  readonly probeEveryMs?: number
  readonly probeWithinMs?: number
  /** Between two looks for files of sources with `paths`. */
  readonly lookMs?: number
  /** How long work at hand may go on after the first signal. */
  readonly drainMs?: number
}

export interface ProcessOptions {
  readonly definitions: readonly ServiceDefinition[]
  /** Absent: all jobs of the services. */
  readonly jobs?: readonly JobName[] | undefined
  readonly http_port?: number | undefined
  readonly timing?: Timing | undefined
}
