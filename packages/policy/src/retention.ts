import { durationMs } from '@salvor/shared/vocabulary/amounts'
import { epochMicros, instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import type { RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { ScheduledKind } from '@salvor/shared/vocabulary/source'

/** `start` plus a duration; `1y` is a calendar year (29 February becomes 1 March). */
export function after(start: Instant, duration: string): Instant {
  const years = /^(\d+)y$/.exec(duration)
  if (!years) return instantOf(epochMicros(start) + BigInt(durationMs(duration)) * 1000n)
  const date = new Date(`${start.slice(0, 19)}Z`)
  date.setUTCFullYear(date.getUTCFullYear() + Number(years[1]))
  return `${date.toISOString().slice(0, 19)}${start.slice(19)}`
}

/** The inverse: what began there and is kept for the duration is kept until `now`. */
export function ago(now: Instant, duration: string): Instant {
  const years = /^(\d+)y$/.exec(duration)
  if (!years) return instantOf(epochMicros(now) - BigInt(durationMs(duration)) * 1000n)
  const date = new Date(`${now.slice(0, 19)}Z`)
  date.setUTCFullYear(date.getUTCFullYear() - Number(years[1]))
  return `${date.toISOString().slice(0, 19)}${now.slice(19)}`
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
