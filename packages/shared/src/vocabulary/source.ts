import { z } from 'zod'
import { RETENTION_CLASSES } from './backup.ts'
import { VERIFICATION_LEVELS } from './verification.ts'

/** `7d`, `12h`, `60s`, `3w`, `1y`; a year is a calendar year. */
export const Duration = z.string().regex(/^\d+(ms|s|m|h|d|w|y)$/, 'a duration such as 30s, 12h, 7d or 1y')
/** `100GB`, `512MB`; GB = 10^9. */
export const ByteSize = z.string().regex(/^\d+(\.\d+)?\s?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/, 'a size such as 100GB')
/** Names appear in keys and file names, so they are plain. */
export const Name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'lower-case letters, digits, - and _, 63 characters at most')

export const ScheduledKinds = ['incremental', 'full', 'monthly', 'quarterly', 'yearly'] as const
export type ScheduledKind = (typeof ScheduledKinds)[number]

/** What has a tick in the catalog: a kind of backup, or the proof that an instant comes back. */
export type TickKind = ScheduledKind | 'recovery'

export const Schedule = z.strictObject({
  ...(Object.fromEntries(ScheduledKinds.map((k) => [k, z.string().optional()])) as Record<
    ScheduledKind,
    z.ZodOptional<z.ZodString>
  >),
  /** The WAL of PostgreSQL, all the time: no cron. */
  wal: z.literal('stream').optional(),
  /** The pages of a SQLite database that change: every second, or at most this often. */
  changes: z.union([z.literal('stream'), Duration]).optional(),
})
export const Retention = z.strictObject({
  ...(Object.fromEntries(RETENTION_CLASSES.map((k) => [k, Duration.optional()])) as Record<
    (typeof RETENTION_CLASSES)[number],
    z.ZodOptional<typeof Duration>
  >),
  /** How long every instant of a SQLite database comes back; then one an hour, one a day. */
  pitr: Duration.optional(),
})
export const CopyRule = z.union([z.literal('all'), z.array(z.enum([...RETENTION_CLASSES, 'wal', 'changes']))])
const Level = z.enum(VERIFICATION_LEVELS)

/**
 * Compression of new artifacts. zstd levels 1 to 19; gzip for those who must open it with gzip. `at: source` asks the source to
 * compress what it sends, too: less on the network, more load on its host.
 */
export const Compression = z.union([
  z.enum(['zstd', 'gzip']).transform((algorithm) => ({ algorithm, level: algorithm === 'zstd' ? 1 : 6 })),
  z.strictObject({
    algorithm: z.enum(['zstd', 'gzip']).default('zstd'),
    level: z.int().min(1).max(19).default(1),
    at: z.enum(['worker', 'source']).optional(),
  }),
])
export interface CompressionChoice {
  readonly algorithm: 'zstd' | 'gzip'
  readonly level: number
  /** Where it begins. Absent: on the worker. */
  readonly at?: 'worker' | 'source' | undefined
}

/** A program and its arguments: no shell reads it. */
const HookCommand = z.array(z.string().min(1)).min(1)

/** The keys of a source that every engine shares. An engine adds its own (`url_file`, `path`, …). */
export const SourcePolicy = z.object({
  engine: Name,
  schedule: Schedule.optional(),
  retention: Retention.optional(),
  copies: z.record(Name, CopyRule).optional(),
  checks: z.array(z.string()).default([]),
  verify: z
    .strictObject({
      full: z.union([Level, z.literal('none')]).default('restore'),
      incremental: z.union([Level, z.literal('none')]).default('decode'),
      replicas: z.union([Level, z.literal('none')]).default('checksum'),
      /** When a recovery to an instant of the last day is proven, by cron, besides the one with each newest backup. */
      recovery: z.string().optional(),
    })
    .prefault({}),
  encryption: z.literal('none').optional(),
  compression: Compression.default({ algorithm: 'zstd', level: 1 }),
  pool: Name.optional(),
  /** Commands around a restore in place: they stop and start what uses the database. */
  hooks: z
    .strictObject({ before: HookCommand.optional(), after: HookCommand.optional(), timeout: Duration.default('5m') })
    .optional(),
  /** Incrementals on one full at most; a longer chain restores slower and depends on more objects. */
  max_chain: z.int().min(1).max(1000).default(30),
  /** What follows a chain of that length: a full of the source, or one that is put together in the repository. */
  at_max_chain: z.enum(['full', 'merge']).default('full'),
})
export type SourcePolicy = z.infer<typeof SourcePolicy>
