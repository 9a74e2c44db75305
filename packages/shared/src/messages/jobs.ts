import { z } from 'zod'
import { RETENTION_CLASSES } from '../vocabulary/backup.ts'
import { VERIFICATION_LEVELS } from '../vocabulary/verification.ts'
import type { ServiceName } from '../vocabulary/service.ts'
import type { Run } from '../vocabulary/run.ts'

const RecoveryTarget = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('latest') }),
  z.strictObject({ kind: z.literal('time'), at: z.string() }),
  z.strictObject({ kind: z.literal('lsn'), lsn: z.string() }),
  z.strictObject({ kind: z.literal('xid'), xid: z.string() }),
  z.strictObject({ kind: z.literal('name'), name: z.string() }),
])

/** Parameters of every job: ids and words, no secrets. Redis carries the run's id only; these lie in the catalog. */
export const JOBS = {
  /** Fires the schedules that are due. One row for the whole catalog, run again and again. */
  'plan-tick': z.strictObject({}),
  /** Removes what attempts that broke off left in the stores. One row for the whole catalog, run again and again. */
  'check-stores': z.strictObject({}),
  'take-backup': z.strictObject({
    source: z.string(),
    type: z.enum(['full', 'incremental']),
    retention_class: z.enum(RETENTION_CLASSES),
    /** What asked for it: a schedule, a person, or the first start of a source. */
    trigger: z.enum(['schedule', 'command', 'first']),
    scheduled_for: z.string().nullable(),
  }),
  /** Puts a chain together as a new full, in the repository: `backup_id` is its last incremental. */
  'merge-chain': z.strictObject({ source: z.string(), backup_id: z.string() }),
  /** Makes change sets of those of a minute, an hour, a day. whole: of all that are stored, not only of the last day or two. */
  'compact-changes': z.strictObject({ source: z.string(), whole: z.boolean() }),
  'restore-backup': z.strictObject({
    backup_id: z.string(),
    store: z.string().nullable(),
    target: z.string(),
    in_place: z.boolean(),
    /** PostgreSQL: only what differs from what is there is written; `any`: whatever cluster that is. */
    delta: z.enum(['same', 'any']).optional(),
    /** PostgreSQL: WAL is replayed on the backup, up to the target. */
    recovery: z
      .strictObject({ target: RecoveryTarget, timeline: z.number().nullable(), pause: z.boolean() })
      .optional(),
    /** PostgreSQL: a server is run on it to the target, and stopped. */
    start: z.boolean().optional(),
    /** PostgreSQL: new places of tablespaces by their former ones. */
    tablespaces: z.record(z.string(), z.string()).optional(),
    /** Logical backups: these databases, and schemas and tables of the one that is named. */
    parts: z
      .strictObject({
        databases: z.array(z.string()).optional(),
        schemas: z.array(z.string()).optional(),
        tables: z.array(z.string()).optional(),
      })
      .optional(),
  }),
  'verify-copy': z.strictObject({ backup_id: z.string(), store: z.string(), level: z.enum(VERIFICATION_LEVELS) }),
  /** Recovers a source in the sandbox to an instant of the last day that its stored WAL reaches. */
  'prove-recovery': z.strictObject({ source: z.string(), scheduled_for: z.string() }),
  /** Copies to every store that a rule names and that lacks the backup. */
  'replicate-copy': z.strictObject({ backup_id: z.string() }),
  /** Copies a piece of WAL to every store that a rule names and that lacks it. */
  'replicate-wal': z.strictObject({ source: z.string(), name: z.string() }),
  /** Copies a change set to every store that a rule names and that lacks it. */
  'replicate-changes': z.strictObject({ source: z.string(), base: z.string(), name: z.string() }),
  /** Deletes change sets that are not kept any more, in every store that answers. */
  'expire-changes': z.strictObject({ source: z.string() }),
  'send-notification': z.strictObject({
    event_id: z.string(),
    channel: z.string(),
    /** As decided when the event was handled: the route's word, and the incident that it opened or resolved. */
    severity: z.enum(['info', 'warning', 'error', 'critical']).optional(),
    incident: z.strictObject({ key: z.string(), change: z.enum(['open', 'resolve']) }).optional(),
  }),
} as const

export type JobName = keyof typeof JOBS
export type JobParams<J extends JobName> = z.infer<(typeof JOBS)[J]>
export type JobRun<J extends JobName> = Omit<Run, 'job' | 'params'> & { readonly job: J; readonly params: JobParams<J> }

interface JobRule {
  readonly service: ServiceName
  /** Failed attempts after which a run is dead. Wait before attempt n+1: `backoff_ms` x 2^n, at most an hour, with jitter. */
  readonly max_failures: number
  readonly backoff_ms: number
  /** Runs side by side in one process. */
  readonly concurrency: number
  /** The queue is one per pool, so that a file is only given to a worker that sees it. */
  readonly pooled: boolean
}

/** Who handles each job, and how it is retried. Checked at boot: each job has exactly one handler. */
export const JOB_RULES: { readonly [J in JobName]: JobRule } = {
  'plan-tick': { service: 'scheduler', max_failures: 1_000_000, backoff_ms: 1_000, concurrency: 1, pooled: false },
  'check-stores': { service: 'scheduler', max_failures: 1_000_000, backoff_ms: 60_000, concurrency: 1, pooled: false },
  'take-backup': { service: 'backup-worker', max_failures: 4, backoff_ms: 15_000, concurrency: 2, pooled: true },
  'merge-chain': { service: 'backup-worker', max_failures: 4, backoff_ms: 60_000, concurrency: 1, pooled: true },
  'compact-changes': { service: 'backup-worker', max_failures: 30, backoff_ms: 60_000, concurrency: 1, pooled: true },
  'restore-backup': { service: 'backup-worker', max_failures: 1, backoff_ms: 15_000, concurrency: 1, pooled: true },
  'verify-copy': { service: 'verifier', max_failures: 5, backoff_ms: 15_000, concurrency: 1, pooled: false },
  'prove-recovery': { service: 'verifier', max_failures: 5, backoff_ms: 60_000, concurrency: 1, pooled: false },
  'replicate-copy': { service: 'replicator', max_failures: 30, backoff_ms: 5_000, concurrency: 2, pooled: false },
  'replicate-wal': { service: 'replicator', max_failures: 30, backoff_ms: 5_000, concurrency: 2, pooled: false },
  'replicate-changes': { service: 'replicator', max_failures: 30, backoff_ms: 5_000, concurrency: 2, pooled: false },
  'expire-changes': { service: 'replicator', max_failures: 5, backoff_ms: 60_000, concurrency: 1, pooled: false },
  'send-notification': { service: 'notifier', max_failures: 30, backoff_ms: 2_000, concurrency: 4, pooled: false },
}
