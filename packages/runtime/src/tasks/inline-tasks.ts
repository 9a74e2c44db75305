import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import type { Clock } from '@salvor/shared/ports/clock'
import type { ByteSink } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import type { Tasks } from '@salvor/shared/ports/tasks'
import type { LoadedConfig } from '../config/loaded-config.ts'
import { performTask } from './perform-task.ts'
import { makeScratch } from './scratch.ts'

export interface InlineOptions {
  readonly config: () => LoadedConfig
  readonly clock: Clock
  readonly log: Log
  /** Where a restore to `-` goes. */
  readonly output?: ByteSink
}

/** Runs tasks in this process: for tests, and where a process of its own is not worth it. */
export function inlineTasks({ config, clock, log, output }: InlineOptions): Tasks {
  return {
    async run(task, input, progress, signal) {
      throwIfInterrupted(signal)
      const current = config()
      await using scratch = await makeScratch(current.sandbox_dir, log)
      const place = { config: current, clock, log: log.child({ task }), scratch_dir: scratch.path, output }
      const context = { ...place, progress, signal }
      return await performTask(task, input, context)
    },
  }
}
