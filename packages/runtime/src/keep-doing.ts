import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Log } from '@salvor/shared/ports/log'
import { pause } from './lease.ts'

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 60_000
/** After so long a run an error is a new one, not the same again. */
const HEALTHY_MS = 300_000

/** Does it until it is done or the signal aborts: what fails is said, and begun again after a pause that grows. Never rejects. */
export async function keepDoing(log: Log, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let wait = FIRST_PAUSE_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
    const began = performance.now()
    try {
      return await work()
    } catch (error) {
      if (signal.aborted) return
      if (performance.now() - began > HEALTHY_MS) wait = FIRST_PAUSE_MS
      log.error(
        { error: asSalvorError(error), again_in_ms: wait },
        'a duty of this service broke off, and is begun again',
      )
    }
    await pause(wait, signal)
  }
}
