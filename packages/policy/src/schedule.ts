import { Cron } from 'croner'
import { epochMicros, instantOf, type Instant } from '@salvor/shared/vocabulary/instant'

/**
 * The first tick strictly after `after`, by five- or six-field cron in an IANA zone (croner: `L` is the last day of a
 * month; an hour that a clock change skips fires once, one that it repeats fires once). Null: it never fires again.
 */
export function nextTick(cron: string, timezone: string, after: Instant): Instant | null {
  const next = new Cron(cron, { ...zoneOf(timezone), paused: true }).nextRun(
    new Date(Number(epochMicros(after) / 1000n)),
  )
  return next ? instantOf(BigInt(next.getTime()) * 1000n) : null
}

/** UTC as an offset: the data of time zones takes the start of a process 10 ms and more to load. */
function zoneOf(timezone: string): { readonly timezone: string } | { readonly utcOffset: number } {
  return timezone === 'UTC' ? { utcOffset: 0 } : { timezone }
}

/** Any day serves: an expression that never comes does not come after it either. */
const FROM = new Date('2024-01-01T00:00:00Z')

/** What is wrong with a cron expression or its zone, in words; null: nothing. */
export function parseCron(cron: string, timezone: string): string | null {
  try {
    const job = new Cron(cron, { ...zoneOf(timezone), paused: true })
    return job.nextRun(FROM) ? null : 'this never comes'
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return text.replace(/^CronPattern: /, '')
  }
}

/** A tick that came due, and when the schedule is due again. Ticks missed while nobody looked are caught up by one run. */
export interface Tick {
  readonly due_at: Instant
  readonly missed: number
  readonly next: Instant | null
}

/** Decides a tick of a schedule that is due at `dueAt`, seen at `now`. */
export function tickAt(cron: string, timezone: string, dueAt: Instant, now: Instant): Tick {
  let missed = 0
  let last = dueAt
  // Counted so that a person can be told; bounded, since a clock may jump by years.
  for (let next = nextTick(cron, timezone, last); next !== null && next <= now && missed < 1000;) {
    missed += 1
    last = next
    next = nextTick(cron, timezone, last)
  }
  return { due_at: missed === 0 ? dueAt : last, missed, next: nextTick(cron, timezone, now) }
}
