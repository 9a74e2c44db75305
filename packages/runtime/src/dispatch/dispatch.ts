import type { ServiceName } from '@salvor/shared/vocabulary/service'
import { dispatchContext, type DispatchOptions } from './context.ts'
import { DeliveryFailures } from './delivery-failures.ts'
import { executeRun, type StopReason } from './execute-run.ts'
import { handleEvent } from './handle-event.ts'

/** Executes runs and delivers events in this process, whoever brings their ids: a queue, a poll or a command. */
export interface Dispatch {
  /** One attempt at a run; ids may come twice and late. Never rejects. */
  executeRun(runId: string): Promise<'done' | 'skipped'>
  /** Brings an event to one service; ids may come twice and late. Never rejects. */
  handleEvent(eventId: string, service: ServiceName): Promise<'done' | 'skipped' | 'failed'>
  /** Takes nothing any more: everything brought is skipped. */
  readonly stopped: boolean
  /** How many runs and events are at hand. */
  readonly busy: number
  /** Resolves when nothing is at hand. */
  idle(): Promise<void>
  /** Stops the runs at hand and takes no further ones. */
  stop(reason: StopReason): void
}

export function createDispatch(options: DispatchOptions): Dispatch {
  const context = dispatchContext(options)
  const failures = new DeliveryFailures()
  const stop = new AbortController()
  const atHand = new Map<string, Promise<unknown>>()

  /** The same id twice at once in one process is one piece of work. */
  const once = async <T>(key: string, work: () => Promise<T>): Promise<T | 'skipped'> => {
    if (stop.signal.aborted || atHand.has(key)) return 'skipped'
    const running = work()
    atHand.set(key, running)
    try {
      return await running
    } finally {
      atHand.delete(key)
    }
  }
  return {
    executeRun: (runId) => once(runId, () => executeRun(runId, context, options.deps, stop.signal)),
    handleEvent: (eventId, service) =>
      once(`${eventId}/${service}`, () => handleEvent(eventId, service, context, failures)),
    get stopped() {
      return stop.signal.aborted
    },
    get busy() {
      return atHand.size
    },
    async idle() {
      while (atHand.size > 0) await Promise.allSettled(atHand.values())
    },
    stop: (reason) => stop.abort(reason),
  }
}
