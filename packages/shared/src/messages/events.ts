import { z } from 'zod'
import { BACKUP_TYPES, RETENTION_CLASSES } from '../vocabulary/backup.ts'
import { VERIFICATION_LEVELS } from '../vocabulary/verification.ts'
import type { Envelope } from './envelope.ts'

const source = z.string()
const backup_id = z.string()
const store = z.string()
const error = z.strictObject({ code: z.string(), message: z.string(), hint: z.string(), retryable: z.boolean() })
const type = z.enum(BACKUP_TYPES)
const retention_class = z.enum(RETENTION_CLASSES)
const level = z.enum(VERIFICATION_LEVELS)

/** Data of every event: facts in the past tense, ids and numbers, no secrets. Durations in milliseconds, sizes in bytes. */
export const EVENTS = {
  /** A source appeared in the configuration of this catalog, or came back. */
  'source.registered': z.strictObject({ source }),
  /** A file that `paths` found is gone, while others of them are there: no longer backed up, its backups are kept. */
  'source.vanished': z.strictObject({ source }),
  'backup.started': z.strictObject({ source, run_id: z.string(), type, retention_class }),
  /** The artifact is durable, read back and in the catalog. */
  'backup.completed': z.strictObject({
    source,
    backup_id,
    run_id: z.string(),
    type,
    retention_class,
    store,
    filename: z.string(),
    size_bytes: z.number(),
    source_bytes: z.number(),
    duration_ms: z.number(),
    /** An incremental was asked for and a full was taken: why. */
    full_because: z.string().optional(),
    /** Put together in the repository from so many backups: the source was not read. */
    merged: z.number().optional(),
  }),
  /** A backup will not be retried by itself any more, or is retried and failed `failures` times. */
  'backup.failed': z.strictObject({
    source,
    run_id: z.string(),
    type,
    failures: z.number(),
    final: z.boolean(),
    error,
    /** It was a chain that could not be put together: the source was not read, and its own backups go on. */
    merge: z.literal(true).optional(),
  }),
  'copy.replicated': z.strictObject({ source, backup_id, store, size_bytes: z.number(), duration_ms: z.number() }),
  'copy.verified': z.strictObject({ source, backup_id, store, level, duration_ms: z.number() }),
  /** A copy does not hold what its manifest promises, or did not come back from a restore. */
  'copy.corrupt': z.strictObject({ source, backup_id, store, level, failed_checks: z.array(z.string()) }),
  /** A copy could not be made, or not be looked at. `what` is the job's word. */
  'copy.failed': z.strictObject({
    source,
    backup_id,
    store,
    what: z.enum(['replicate', 'verify']),
    failures: z.number(),
    final: z.boolean(),
    error,
  }),
  /** A backup and the WAL behind it came back to an instant: the last commit that was replayed, and where. */
  'recovery.proven': z.strictObject({
    source,
    backup_id,
    target_at: z.string(),
    recovered_to: z.string().nullable(),
    lsn: z.string().nullable(),
    timeline: z.number().nullable(),
    duration_ms: z.number(),
  }),
  /** A whole segment of WAL, or a history file, is in a store. */
  'wal-segment.stored': z.strictObject({
    source,
    store,
    name: z.string(),
    timeline: z.number(),
    end_lsn: z.string().nullable(),
    size_bytes: z.number(),
  }),
  /** WAL that no store has and the server no longer keeps: no recovery crosses it. */
  'wal-gap.detected': z.strictObject({
    source,
    timeline: z.number(),
    from_lsn: z.string(),
    to_timeline: z.number(),
    to_lsn: z.string(),
    reason: z.string(),
  }),
  /** The WAL of a source is not streamed, or not stored, and has not been for a while. */
  'wal-stream.failed': z.strictObject({ source, error }),
  'wal-stream.recovered': z.strictObject({ source }),
  /** The pages of a SQLite database that changed until `to_at` are in a store. */
  'change-set.stored': z.strictObject({
    source,
    store,
    base: z.string(),
    name: z.string(),
    to_at: z.string(),
    size_bytes: z.number(),
  }),
  /** The changes of a source are not followed, or not stored, and have not been for a while. */
  'change-stream.failed': z.strictObject({ source, error }),
  'change-stream.recovered': z.strictObject({ source }),
  'restore.completed': z.strictObject({
    source,
    backup_id,
    target: z.string(),
    recovered_to: z.string(),
    duration_ms: z.number(),
  }),
  'restore.failed': z.strictObject({ source, backup_id: z.string().nullable(), target: z.string(), error }),
} as const

export type EventType = keyof typeof EVENTS
export type EventData<T extends EventType> = z.infer<(typeof EVENTS)[T]>
/** An event of one type, its data parsed. */
export type SalvorEvent<T extends EventType = EventType> = {
  [K in T]: Omit<Envelope, 'type' | 'data'> & { type: K; data: EventData<K> }
}[T]
/** What a handler publishes; id, time, source and correlation are added at commit. */
export type NewEvent<T extends EventType = EventType> = {
  [K in T]: { type: K; subject: string; data: EventData<K> }
}[T]
