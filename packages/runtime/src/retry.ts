import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ErrorCode } from '@salvor/shared/errors/codes'

/** What happens to a run whose attempt ended with an error. */
export type RetryVerdict =
  /** It will not get better by itself. */
  | { readonly kind: 'failed' }
  /** The failure counts; `dead`: it was the last one. */
  | { readonly kind: 'retry'; readonly wait_ms: number; readonly dead: boolean }
  /** Somebody asked to wait: no failure. */
  | { readonly kind: 'again'; readonly wait_ms: number }

interface RetryRule {
  readonly max_failures: number
  readonly backoff_ms: number
}

export const LONGEST_WAIT_MS = 3_600_000

/** Waits that another party asked for. Nothing went wrong, so they do not use up attempts. */
const WAITS: { readonly [C in ErrorCode]?: (error: SalvorError) => number } = {
  SOURCE_BUSY: () => 10_000,
  WAL_SLOT_BUSY: () => 10_000,
  CHANNEL_THROTTLED: (error) => Math.max(1, Number(error.facts['seconds']) || 1) * 1000,
}

/** `failures`: failed attempts before this one. `random`: uniform in [0, 1). */
export function decideRetry(error: SalvorError, failures: number, rule: RetryRule, random: () => number): RetryVerdict {
  const asked = WAITS[error.code]
  if (asked) return { kind: 'again', wait_ms: Math.min(asked(error), LONGEST_WAIT_MS) }
  if (!error.retryable) return { kind: 'failed' }
  const dead = failures + 1 >= rule.max_failures
  return { kind: 'retry', wait_ms: backoffMs(rule.backoff_ms, failures, random), dead }
}

/** `base` doubled with each failure before, at most an hour, up to a fifth shorter so that many do not come back at once. */
export function backoffMs(base: number, failures: number, random: () => number): number {
  const wait = Math.min(base * 2 ** Math.min(failures, 40), LONGEST_WAIT_MS)
  return Math.round(wait * (1 - random() / 5))
}
