import { Decoders } from '@salvor/repository/decoders'
import type { Tasks } from '@salvor/shared/ports/tasks'
import { inlineTasks, type InlineOptions } from './inline-tasks.ts'
import { LINGER_MS } from './open-chain.ts'
import type { TaskName } from './perform-task.ts'

/** Threads that were started ahead wait so long for their first artifact. */
const AHEAD_MS = 10_000

/**
 * The task of that name in this process, every other as `elsewhere` does it. One that reads a backup comes soon: its threads are started now,
 * beside what else this process has to open.
 */
export function taskHere(
  name: TaskName,
  elsewhere: Tasks,
  options: Omit<InlineOptions, 'decoders'>,
): Tasks & AsyncDisposable {
  const decoders = new Decoders(options.config().threads, LINGER_MS)
  if (name !== 'snapshot') decoders.startAhead(AHEAD_MS)
  const inline = inlineTasks({ ...options, decoders })
  return {
    run: (task, ...rest) => (task === name ? inline : elsewhere).run(task, ...rest),
    [Symbol.asyncDispose]: () => decoders[Symbol.asyncDispose](),
  }
}
