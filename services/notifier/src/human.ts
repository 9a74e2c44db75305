import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `1.23 GB`; GB = 10^9. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  // 999.5 would be written as 1000.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** `850 ms`, `12.3 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 59_950) return `${Number((milliseconds / 1000).toFixed(1))} s`
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 3600) return two(seconds, 60, 'min', 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return two(minutes, 60, 'h', 'min')
  return two(Math.round(minutes / 60), 24, 'd', 'h')
}

/** `2025-11-27 20:39:30 UTC`. */
export function moment(instant: Instant): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 19)} UTC`
}

/** `3 h 5 min ago`, seen from `now`; a moment to come is `now`. */
export function ago(instant: Instant, now: Instant): string {
  const past = Number(epochMicros(now) - epochMicros(instant)) / 1000
  return past < 1000 ? 'now' : `${duration(past)} ago`
}

/** A sentence of an error: capital first letter and a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  const whole = /[.!?)]$/.test(trimmed) ? trimmed : `${trimmed}.`
  return whole.charAt(0).toUpperCase() + whole.slice(1)
}

function two(count: number, base: number, large: string, small: string): string {
  const rest = count % base
  return `${Math.floor(count / base)} ${large}${rest ? ` ${rest} ${small}` : ''}`
}
