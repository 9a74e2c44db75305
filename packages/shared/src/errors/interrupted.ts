import { SalvorError } from './salvor-error.ts'

/** Ends work whose signal was pulled: INTERRUPTED, with the signal's reason as cause. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
}
