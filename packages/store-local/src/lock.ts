import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { assertObjectKey } from '@salvor/shared/vocabulary/object-key'

/** A folder locks nothing: whoever owns it can delete. */
export async function lockedUntil(key: string, signal: AbortSignal): Promise<Instant | null> {
  assertObjectKey(key)
  throwIfInterrupted(signal)
  return null
}
