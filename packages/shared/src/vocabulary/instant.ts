/** A moment in UTC with microseconds, `2025-11-27T20:39:30.294774Z`. Always 27 characters, so instants sort as text. */
export type Instant = string

const FORM = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.(\d{6})Z$/

/** Microseconds since 1970-01-01 UTC. No JS Date on the way back and forth loses a digit. */
export function epochMicros(instant: Instant): bigint {
  const parts = FORM.exec(instant)
  if (!parts) throw new RangeError(`not an instant: ${instant}`)
  return BigInt(Date.parse(`${parts[1]}Z`)) * 1000n + BigInt(parts[2]!)
}

/** The inverse of `epochMicros`. */
export function instantOf(micros: bigint): Instant {
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = Number((micros - fraction) / 1_000_000n)
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(fraction).padStart(6, '0')}Z`
}

/** `instant` moved by a number of milliseconds, negative for earlier. */
export function shifted(instant: Instant, milliseconds: number): Instant {
  return instantOf(epochMicros(instant) + BigInt(Math.round(milliseconds * 1000)))
}

/** Milliseconds from `earlier` to `later`. */
export function elapsedMs(earlier: Instant, later: Instant): number {
  return Number(epochMicros(later) - epochMicros(earlier)) / 1000
}

export function laterOf(a: Instant, b: Instant): Instant {
  return a > b ? a : b
}
