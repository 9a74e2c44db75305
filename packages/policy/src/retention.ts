import { epochMicros, instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { ScheduledKind } from '@salvor/shared/vocabulary/source'

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/** Milliseconds of `30s`, `12h`, `7d`, `3w`; years have no fixed length, see `after`. */
export function durationMs(duration: string): number {
  const parts = /^(\d+)(ms|s|m|h|d|w)$/.exec(duration)
  if (!parts) throw new RangeError(`not a duration of fixed length: ${duration}`)
  return Number(parts[1]) * UNIT_MS[parts[2] as keyof typeof UNIT_MS]
}

/** `start` plus a duration; `1y` is a calendar year (29 February becomes 1 March). */
export function after(start: Instant, duration: string): Instant {
  const years = /^(\d+)y$/.exec(duration)
  if (!years) return instantOf(epochMicros(start) + BigInt(durationMs(duration)) * 1000n)
  const date = new Date(`${start.slice(0, 19)}Z`)
  date.setUTCFullYear(date.getUTCFullYear() + Number(years[1]))
  return `${date.toISOString().slice(0, 19)}${start.slice(19)}`
}

/** Until when a backup of this class is kept at least; null: the class has no rule, so it is kept until someone decides. */
export function retentionUntil(
  retention: Readonly<Partial<Record<RetentionClass, string>>>,
  retentionClass: RetentionClass,
  timestamp: Instant,
): Instant | null {
  const rule = retention[retentionClass]
  return rule === undefined ? null : after(timestamp, rule)
}

/** What a schedule's kind stores: a monthly backup is a full that is kept by the monthly rule. */
export function backupOf(kind: ScheduledKind): { type: 'full' | 'incremental'; retention_class: RetentionClass } {
  return kind === 'incremental'
    ? { type: 'incremental', retention_class: 'incremental' }
    : { type: 'full', retention_class: kind }
}
