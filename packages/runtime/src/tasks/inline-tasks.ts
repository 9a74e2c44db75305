import type { Decoders } from '@salvor/repository/decoders'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { fromFailure, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Clock } from '@salvor/shared/ports/clock'
import type { ByteSink } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import type { Tasks } from '@salvor/shared/ports/tasks'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { LoadedConfig } from '../config/loaded-config.ts'
import { cleanFailure } from './clean-failure.ts'
import { performTask } from './perform-task.ts'
import { makeScratch } from './scratch.ts'
import { REPORT_EVERY_MS, throttleProgress } from './throttled-progress.ts'

export interface InlineOptions {
  readonly config: () => LoadedConfig
  readonly clock: Clock
  readonly log: Log
  /** Where a restore to `-` goes. */
  readonly output?: ByteSink
  /** Threads that were started ahead, for the first artifact that is read. */
  readonly decoders?: Decoders
}

/** Runs tasks in this process: where nothing else is at work in it, and a process of its own is not worth its start. */
export function inlineTasks({ config, clock, log, output, decoders }: InlineOptions): Tasks {
  return {
    async run(task, input, report, signal) {
      throwIfInterrupted(signal)
      const current = config()
      await using scratch = await makeScratch(current.sandbox_dir, log)
      const own = log.child({ task })
      const send = (progress: RunProgress, sent: () => void): void => {
        report(progress)
        sent()
      }
      const progress = throttleProgress(send, REPORT_EVERY_MS, () => clock.monotonicMs())
      const place = { config: current, clock, log: own, scratch_dir: scratch.path, output, decoders }
      using stop = interruptedBy(signal)
      try {
        return await performTask(task, input, { ...place, progress, signal: stop.signal })
      } catch (error) {
        throwIfInterrupted(signal)
        if (!(error instanceof SalvorError)) own.error({ error }, 'a bug ended the task')
        const { failure, facts } = cleanFailure(error, () => current.secrets)
        throw fromFailure(failure, facts)
      }
    },
  }
}

/** Aborts with the signal, and says what a task process hears: INTERRUPTED. */
function interruptedBy(signal: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const stop = new AbortController()
  const abort = (): void => stop.abort(new SalvorError('INTERRUPTED', {}, signal.reason))
  signal.addEventListener('abort', abort, { once: true })
  return { signal: stop.signal, [Symbol.dispose]: () => signal.removeEventListener('abort', abort) }
}
