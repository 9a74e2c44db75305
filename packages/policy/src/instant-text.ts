import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import { Cron } from 'croner'

const FORM = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?\s?(Z|[+-]\d{2}(?::?\d{2})?)?$/i

/**
 * An instant as people write it: `2025-11-27 14:02:59`, with `T` or a space, `Z`, `+01` or `+01:00`; without an offset it is
 * local time of `timezone`. Null: it is none, or an hour that a clock change skips.
 */
export function parseInstant(text: string, timezone: string): Instant | null {
  const [, date, minute, second = '00', fraction = '', offset] = FORM.exec(text.trim()) ?? []
  if (date === undefined || minute === undefined) return null
  const seconds = secondsOf(`${date}T${minute}:${second}`, offset?.toUpperCase(), timezone)
  if (seconds === null) return null
  return instantOf(BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0')))
}

function secondsOf(local: string, offset: string | undefined, timezone: string): number | null {
  const asUtc = Date.parse(`${local}Z`)
  // `Date` takes the 30th of February for the 2nd of March.
  if (!Number.isFinite(asUtc) || new Date(asUtc).toISOString().slice(0, 19) !== local) return null
  if (offset === undefined) {
    const at = new Cron(local, { timezone, paused: true }).nextRun(new Date(0))
    return at === null ? null : at.getTime() / 1000
  }
  if (offset === 'Z') return asUtc / 1000
  const [, sign, hours, minutes = '00'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(offset) ?? []
  const ahead = Number(hours) * 3600 + Number(minutes) * 60
  return asUtc / 1000 - (sign === '-' ? -ahead : ahead)
}
