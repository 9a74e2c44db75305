const LONGEST_WAIT_S = 3600

/**
 * Seconds that a server asks to wait, 1 to 3600. `Retry-After` is a number of seconds, or an HTTP date that is measured
 * against the answer's own `Date`, so that a wrong clock here does not matter. Null: the server named no usable time.
 */
export function retryAfterSeconds(retryAfter: string | null, date: string | null): number | null {
  const seconds = asked(retryAfter?.trim() ?? '', date ?? '')
  return seconds === null ? null : Math.min(LONGEST_WAIT_S, Math.max(1, Math.ceil(seconds)))
}

function asked(retryAfter: string, date: string): number | null {
  if (/^\d+(\.\d+)?$/.test(retryAfter)) return Number(retryAfter)
  // Only a date has letters: Date.parse would take `-5` or `1/2` for a year.
  if (!/[a-z]/i.test(retryAfter)) return null
  const wait = (Date.parse(retryAfter) - Date.parse(date)) / 1000
  return Number.isNaN(wait) ? null : wait
}
