import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { assertObjectKey } from '@salvor/shared/vocabulary/object-key'

/** This adapter sets and reads no immutability policy (capability `objectLock` is false), so it never says that an object is locked. */
export async function lockedUntil(key: string, signal: AbortSignal): Promise<Instant | null> {
  assertObjectKey(key)
  throwIfInterrupted(signal)
  return null
}
